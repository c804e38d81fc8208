using P2PWeights.Native.Verbs;

namespace P2PWeights.Transfer.Tests.Paths.Rdma;

/// <summary>Tests that need an RDMA device with an active port; tools/rdma-lab has two on every machine.</summary>
public sealed class NeedsRdmaAttribute : NeedsAttribute
{
    private static readonly Lazy<string?> Problem = new(() =>
    {
        var inventory = DeviceInventory.Read();
        var ranking = DeviceRanking.Of(inventory, new DeviceWishes(), NumaDistances.None);
        return inventory.Unavailable
            ?? (ranking.Usable.Count > 0 ? null : string.Join("; ", ranking.Unusable.Select(port => $"{port.Name}: {port.Reason}")));
    });

    public override string? Missing => Problem.Value;
}
