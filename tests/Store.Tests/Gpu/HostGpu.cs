namespace P2PWeights.Store.Tests.Gpu;

/// <summary>The memory in the place of a GPU's, from outside.</summary>
internal static class HostGpu
{
    /// <summary>Changes one byte of a store's <c>host-0</c>.</summary>
    public static void Corrupt(ShardStore store, long offset)
    {
        using var file = File.OpenHandle(
            Path.Combine(Path.GetDirectoryName(store.Arena!.Path)!, "gpu-host-0"), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        var one = new byte[1];
        RandomAccess.Read(file, one, offset);
        one[0] ^= 1;
        RandomAccess.Write(file, one, offset);
    }
}
