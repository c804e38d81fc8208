using P2PWeights.Store;
using P2PWeights.Testing;
using P2PWeights.Testing.Faults;

namespace P2PWeights.Transfer.Tests.Paths;

/// <summary>
/// What a path keeps on top whose reads happen under leases. A path that asks the source for bytes (tcp) has none: what it is sent is what the source held then.
/// </summary>
public abstract class LeasedPathContract : TransferPathContract
{
    private const int Large = 16 << 20;

    private protected override bool PayloadCrossesSockets => false;

    /// <summary>Starts a source whose clock, by which leases end, is the test's.</summary>
    private protected abstract Task<TestNode> StartSourceAsync(TimeProvider time);

    [PathFact]
    public async Task Source_takes_its_lease_back_from_a_reader_that_is_not_heard_of_and_no_reader_gets_what_lies_there_since()
    {
        var time = new VirtualTime();
        var checkpoint = TestCheckpoint.Create(Large, Large);
        var (first, second) = (checkpoint.Manifest.Shards[0], checkpoint.Manifest.Shards[1]);
        var node = await StartNodeAsync("node", 64 << 20);
        await using var pair = await PathPair.OpenAsync(await StartSourceAsync(time), node, NewPath(node));
        await pair.Source.HoldAsync(checkpoint, 0);
        using var begun = new ManualResetEventSlim();
        using var goOn = new ManualResetEventSlim();

        // The fetch stops after its first bytes, as a node does whose process is suspended, and the source hears nothing of it any more.
        using (var write = await pair.BeginAsync(checkpoint))
        {
            var fetching = Task.Run(async () => await pair.Channel.FetchAsync(write, OnReceived, TestNode.Deadline));
            await Task.Run(() => begun.Wait(TestNode.Deadline));
            pair.Proxy.ToTarget.Line = new FaultLine { Fault = FaultKind.Blackhole };
            await Eventually.HoldsAsync(
                () =>
                {
                    time.Advance(TimeSpan.FromMilliseconds(500));
                    return pair.Source.Store.Usage.Leases == 0;
                },
                "the source takes its lease back");
            await pair.Source.Store.EvictAsync(first.Digest, Tiers.Memory | Tiers.Disk | Tiers.Gpu, TestNode.Deadline);
            await pair.Source.HoldAsync(checkpoint, 1);
            goOn.Set();

            var outcome = await fetching;
            if (outcome.Status == FetchStatus.Ok)
            {
                var refusal = await Record.ExceptionAsync(async () => await write.CommitAsync(TestNode.Deadline));
                Assert.True(refusal is null or StoreException { Error: StoreError.WrongDigest }, refusal?.ToString());
            }
        }

        using (var lease = await pair.Node.Store.LeaseAsync(first.Digest, TestNode.Deadline))
        {
            var bytes = new byte[Large];
            if (lease is not null)
            {
                await lease.Value.ReadAsync(bytes, TestNode.Deadline);
                Assert.True(bytes.AsSpan().SequenceEqual(checkpoint.Bytes[0]), checkpoint.Seeded.ToString());
            }
        }

        // The same path serves the same node again, with what the source holds now.
        pair.Proxy.ToTarget.Line = FaultLine.Clear;
        await pair.ReopenAsync();
        await pair.FetchRightAsync(checkpoint, 1);
        Assert.False(pair.Node.Store.Contains(second.Digest));

        void OnReceived(int count)
        {
            begun.Set();
            goOn.Wait(TestNode.Deadline);
        }
    }
}
