using System.Globalization;

namespace P2PWeights.Store.Tests.Folders;

/// <summary>A test that mounts a small tmpfs; skipped, with the reason, for processes that may not mount.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class MountFactAttribute : FactAttribute
{
    private const int SysAdmin = 21; // CAP_SYS_ADMIN of linux/capability.h

    public MountFactAttribute()
    {
        var effective = File.ReadLines("/proc/self/status").First(line => line.StartsWith("CapEff:", StringComparison.Ordinal));
        if ((ulong.Parse(effective.AsSpan(7).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture) >> SysAdmin & 1) == 0)
        {
            Skip = "needs the right to mount a tmpfs: run as root";
        }
    }
}
