using Microsoft.Win32.SafeHandles;
using P2PWeights.Store.Reuse;

namespace P2PWeights.Store.References;

/// <summary>An open file that several leases read; the last to let go closes it.</summary>
internal sealed class SharedFile(SafeFileHandle handle) : Counted
{
    public SafeFileHandle Handle => handle;

    protected override void End() => handle.Dispose();
}
