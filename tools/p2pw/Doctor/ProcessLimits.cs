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

    private static long? Soft(IReadOnlyList<string> lines, string name)
    {
        var line = lines.FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal));
        var soft = line?[name.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).FirstOrDefault();
        return long.TryParse(soft, out var limit) ? limit : null;
    }
}
