using System.Globalization;

namespace P2PWeights.Cli.Doctor;

/// <summary>Soft limits of a process as <c>/proc/PID/limits</c> tells them (proc(5)).</summary>
/// <param name="OpenFiles">File descriptors; null for no limit.</param>
/// <param name="LockedBytes">Memory that may be locked, in bytes; null for no limit.</param>
internal sealed record ProcessLimits(long? OpenFiles, long? LockedBytes)
{
    /// <summary>The limits of this process.</summary>
    public static ProcessLimits Current() => Parse(File.ReadAllLines("/proc/self/limits"));

    /// <summary>Reads the table: a name, then the soft limit, the hard one and the unit, in columns of fixed width.</summary>
    public static ProcessLimits Parse(IReadOnlyList<string> lines) => new(Soft(lines, "Max open files"), Soft(lines, "Max locked memory"));

    /// <summary>
    /// Whether a process is above the limit on locked memory: it has CAP_IPC_LOCK, bit 14 of the effective set (capabilities(7)).
    /// </summary>
    /// <param name="status">The lines of <c>/proc/PID/status</c>.</param>
    public static bool MayLockWithoutLimit(IEnumerable<string> status)
    {
        const string Name = "CapEff:";
        const int IpcLock = 14;
        var line = status.FirstOrDefault(line => line.StartsWith(Name, StringComparison.Ordinal));
        return ulong.TryParse(line?[Name.Length..].Trim(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var effective)
            && (effective >> IpcLock & 1) != 0;
    }

    private static long? Soft(IReadOnlyList<string> lines, string name)
    {
        var line = lines.FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal));
        var soft = line?[name.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).FirstOrDefault();
        return long.TryParse(soft, out var limit) ? limit : null;
    }
}
