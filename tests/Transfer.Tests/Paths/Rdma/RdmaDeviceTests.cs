using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Native.Posix;
using P2PWeights.Store;
using P2PWeights.Testing;
using P2PWeights.Transfer.Leasing;
using P2PWeights.Transfer.Paths.Rdma;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests.Paths.Rdma;

/// <summary>Two hosts' devices, connected without the wire between: queue pairs, leases, what ends them.</summary>
[NeedsRdma]
public sealed class RdmaDeviceTests
{
    private const int Size = (5 << 20) + 77;

    [PathFact]
    public async Task Leased_shard_is_read_whole_over_every_device()
    {
        await using var link = await Link.OpenAsync();
        var location = await link.Exporter.ExportAsync(1, link.Lease, TestNode.Deadline);

        var failure = await link.ReadAsync(location);

        Assert.True(failure is null, failure?.Detail);
        link.AssertArrived();
        Assert.Equal(link.Queues.Select(queue => queue.Index).Distinct().Count(), location.Keys.Count);
    }

    [PathFact]
    public async Task Key_that_was_taken_back_is_refused_and_a_new_one_works_over_what_is_left()
    {
        await using var link = await Link.OpenAsync();
        var stale = await link.Exporter.ExportAsync(1, link.Lease, TestNode.Deadline);
        await link.Exporter.WithdrawAsync(1);

        var failure = await link.ReadAsync(stale);

        Assert.Equal(FailureReasons.LeaseExpired, failure?.Reason);
        Assert.Contains("remote access error", failure!.Detail, StringComparison.OrdinalIgnoreCase);
        link.AssertNothingArrived();
    }

    [PathFact]
    public async Task Key_of_an_earlier_lease_is_refused_while_a_later_one_has_the_same_window()
    {
        await using var link = await Link.OpenAsync();
        var stale = await link.Exporter.ExportAsync(1, link.Lease, TestNode.Deadline);
        await link.Exporter.WithdrawAsync(1);
        var fresh = await link.Exporter.ExportAsync(2, link.Lease, TestNode.Deadline);

        Assert.Null(await link.ReadAsync(fresh));
        Assert.Equal(FailureReasons.LeaseExpired, (await link.ReadAsync(stale))?.Reason);
    }

    [PathFact]
    public async Task Key_comes_round_no_sooner_than_after_128_leases_and_the_window_idle_longest_is_used_first()
    {
        await using var link = await Link.OpenAsync();
        if ((await link.Here.GetDevicesAsync(TestNode.Deadline)).Any(device => !device.HasWindows))
        {
            return;
        }

        var keys = new HashSet<uint>();
        for (ulong lease = 1; lease <= 128; lease++)
        {
            Assert.True(keys.Add((await link.Exporter.ExportAsync(lease, link.Lease, TestNode.Deadline)).Keys[0].Key), $"lease {lease} has the key of an earlier one");
            await link.Exporter.WithdrawAsync(lease);
        }

        var (first, second) = (await link.Exporter.ExportAsync(201, link.Lease, TestNode.Deadline), await link.Exporter.ExportAsync(202, link.Lease, TestNode.Deadline));
        await link.Exporter.WithdrawAsync(202);
        await link.Exporter.WithdrawAsync(201);
        var next = await link.Exporter.ExportAsync(203, link.Lease, TestNode.Deadline);
        Assert.Equal((true, false), (IsOneWindow(next, second), IsOneWindow(next, first)));

        static bool IsOneWindow(MemoryLocation one, MemoryLocation other) => one.Keys[0].Key >> 8 == other.Keys[0].Key >> 8;
    }

    [PathFact]
    public async Task Peers_at_one_address_get_not_all_queue_pairs_of_a_device()
    {
        await using var link = await Link.OpenAsync();
        var device = (await link.Here.GetDevicesAsync(TestNode.Deadline))[0];
        var depth = Math.Min(4096, device.MaxDepth);
        var queues = new List<RdmaQueue>();
        var refusal = Record.Exception(() =>
        {
            while (queues.Count < 10_000)
            {
                queues.Add(RdmaQueue.Create(device, depth, IPAddress.Parse("10.0.0.1")));
            }
        });

        Assert.Contains("peers at 10.0.0.1", refusal?.Message, StringComparison.Ordinal);
        queues.Add(RdmaQueue.Create(device, depth, IPAddress.Parse("10.0.0.2")));
        queues.Add(RdmaQueue.Create(device, depth, reader: null));
        await RdmaHost.DisposeAsync(queues);
        Assert.True((await link.ReadAsync(await link.Exporter.ExportAsync(1, link.Lease, TestNode.Deadline))) is null);
    }

    [PathFact]
    public async Task Queue_pairs_that_the_listener_ends_fail_the_reads_with_a_reason()
    {
        await using var link = await Link.OpenAsync();
        var location = await link.Exporter.ExportAsync(1, link.Lease, TestNode.Deadline);
        await link.Exporter.DisposeAsync();

        var failure = await link.ReadAsync(location);

        Assert.Equal(FailureReasons.LaneLost, failure?.Reason);
        Assert.NotEmpty(failure!.Detail);
    }

    [PathFact]
    public async Task Device_that_fails_leaves_the_reads_to_the_others()
    {
        await using var link = await Link.OpenAsync();
        var location = await link.Exporter.ExportAsync(1, link.Lease, TestNode.Deadline);
        var devices = await link.Here.GetDevicesAsync(TestNode.Deadline);
        devices[0].Fail("the test pulled the cable", isGone: false);

        var failure = await link.ReadAsync(location);

        if (devices.Count > 1)
        {
            Assert.True(failure is null, failure?.Detail);
            link.AssertArrived();
            Assert.Equal(new PathFailure(FailureReasons.DeviceLost, "the test pulled the cable"), link.TakeLoss());
        }
        else
        {
            Assert.Equal(new PathFailure(FailureReasons.DeviceLost, "the test pulled the cable"), failure);
        }
    }

    [PathFact]
    public async Task Cancelled_read_leaves_the_memory_alone_from_then_on()
    {
        await using var link = await Link.OpenAsync();
        var location = await link.Exporter.ExportAsync(1, link.Lease, TestNode.Deadline);
        using var cancel = new CancellationTokenSource();
        link.Received = _ => cancel.Cancel();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await link.ReadAsync(location, cancel.Token));

        link.Target.Span.Clear();
        link.Received = null;
        await Task.Yield();
        link.AssertNothingArrived();
        Assert.Null(await link.ReadAsync(location));
        link.AssertArrived();
    }

    /// <summary>A source with one leased shard, and queue pairs of another host connected to it.</summary>
    private sealed class Link : IAsyncDisposable
    {
        private readonly MemoryMapping _memory = MemoryMapping.CreateAnonymous(16 << 20);
        private readonly TestCheckpoint _checkpoint = TestCheckpoint.Create(Size);
        private TestNode _source = null!;
        private RdmaHost _there = null!;
        private ReadScheduler _scheduler = null!;

        public RdmaHost Here { get; private set; } = null!;

        public ShardLease Lease { get; private set; }

        public RdmaExporter Exporter { get; private set; } = null!;

        public IReadOnlyList<(int Index, RdmaQueue Queue)> Queues { get; private set; } = [];

        public Action<int>? Received { get; set; }

        public Memory<byte> Target => _memory.GetMemory(0, Size);

        public static async Task<Link> OpenAsync()
        {
            var link = new Link();
            var options = new TransferOptions();
            link._source = await TestNode.StartAsync("source");
            await link._source.HoldAsync(link._checkpoint);
            link.Lease = (await link._source.Store.LeaseInMemoryAsync(link._checkpoint.Manifest.Shards[0].Digest, TestNode.Deadline))!.Value;
            link._there = RdmaHost.Start(options, link._source.Store.Regions, NullLogger.Instance);
            link.Here = RdmaHost.Start(options, [RegionOf(link._memory)], NullLogger.Instance);
            await Task.WhenAll(link._there.Ready, link.Here.Ready).WaitAsync(TestNode.Deadline);
            var queues = new List<IReadOnlyList<RdmaQueue>>();
            foreach (var device in await link.Here.GetDevicesAsync(TestNode.Deadline))
            {
                queues.Add(await RdmaHost.MakeQueuesAsync(device, options.RdmaQueuePairs, options.RdmaDepth, reader: null));
            }

            var devices = await link.Here.GetDevicesAsync(TestNode.Deadline);
            var mine = new ConnectQueuesMessage([.. devices.Select((device, index) => RdmaHost.Describe(index, device, queues[index]))]);
            var (answer, exporter) = await new RdmaListener(link._there).ConnectAsync(mine, IPAddress.Loopback, TestNode.Deadline);
            link.Exporter = (RdmaExporter)exporter;
            foreach (var theirs in answer.Devices)
            {
                for (var i = 0; i < theirs.Queues.Length; i++)
                {
                    queues[theirs.Index][i].Connect(theirs, theirs.Queues[i]);
                }
            }

            link.Queues = [.. answer.Devices.SelectMany(device => queues[device.Index].Select(queue => (device.Index, queue)))];
            link._scheduler = new ReadScheduler(link.Queues.Select(queue => queue.Queue), options.RdmaReadBytes, TimeProvider.System);
            return link;
        }

        public async Task<PathFailure?> ReadAsync(MemoryLocation location, CancellationToken cancellationToken = default)
        {
            var keys = Queues.Select(queue => location.Keys.Where(key => key.Device == queue.Index).Select(key => (QueueKey?)new QueueKey(key.Address, key.Key)).FirstOrDefault());
            var read = new ShardRead(RegionOf(_memory).Address, [.. keys], () => true, count => Received?.Invoke(count));
            return await _scheduler.ReadAsync(read, 0, Size, cancellationToken).AsTask().WaitAsync(TestNode.Deadline);
        }

        public PathFailure? TakeLoss() => _scheduler.TakeLoss();

        public void AssertArrived() => Assert.True(Target.Span.SequenceEqual(_checkpoint.Bytes[0]), _checkpoint.Seeded.ToString());

        public void AssertNothingArrived() => Assert.False(Target.Span.ContainsAnyExcept((byte)0));

        public async ValueTask DisposeAsync()
        {
            await _scheduler.DisposeAsync();
            await Exporter.DisposeAsync();
            Lease.Dispose();
            await Here.DisposeAsync();
            await _there.DisposeAsync();
            await _source.DisposeAsync();
            _memory.Dispose();
        }

        private static unsafe MemoryRegion RegionOf(MemoryMapping memory) => new((nint)memory.Address, memory.Length);
    }
}
