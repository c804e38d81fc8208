using P2PWeights.Native.Verbs;

namespace P2PWeights.Native.Tests.Verbs;

/// <summary>A test that needs an RDMA device with an active port; skipped, with the reason, on a machine without. tools/rdma-lab has one on every machine.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class VerbsDeviceFactAttribute : FactAttribute
{
    private static readonly Lazy<string?> Problem = new(() =>
    {
        var inventory = DeviceInventory.Read();
        var ranking = DeviceRanking.Of(inventory, new DeviceWishes(), NumaDistances.None);
        return inventory.Unavailable
            ?? (ranking.Usable.Count > 0 ? null : string.Join("; ", ranking.Unusable.Select(port => $"{port.Name}: {port.Reason}")));
    });

    public VerbsDeviceFactAttribute() => Skip = Problem.Value;
}
