using System.Net;
using P2PWeights.Native.Posix;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Testing;
using P2PWeights.Transfer.Leasing;

namespace P2PWeights.Transfer.Tests.Leasing;

public sealed class LeaseLaneTests
{
    [Fact]
    public async Task Lease_on_a_file_leads_to_the_bytes_in_the_arena_and_keeps_them_from_eviction()
    {
        var checkpoint = TestCheckpoint.Create(100_000, 70_000);
        await using var pair = await LeasePair.OpenAsync(checkpoint);
        var shard = checkpoint.Manifest.Shards[1];

        var lease = await pair.LeaseAsync(shard, LeaseKind.File);

        Assert.Equal((shard, true, Tiers.Memory), (lease.Shard, lease.IsValid, lease.File!.Tier));
        AssertLeadsTo(lease.File, checkpoint.Bytes[1]);
        Assert.Equal(Tiers.None, await pair.Source.Store.EvictAsync(shard.Digest, Tiers.Memory, TestNode.Deadline));
        lease.Dispose();
        Assert.False(lease.IsValid);
        await pair.NothingIsOutAsync();
        Assert.Equal(Tiers.Memory, await pair.Source.Store.EvictAsync(shard.Digest, Tiers.Memory, TestNode.Deadline));
    }

    [Fact]
    public async Task Lease_on_a_file_leads_to_the_bytes_on_disk_and_in_a_referenced_file()
    {
        var checkpoint = TestCheckpoint.Create(100_000);
        await using var pair = await LeasePair.OpenAsync(checkpoint, memory: 0);
        using var onDisk = await pair.LeaseAsync(checkpoint.Manifest.Shards[0], LeaseKind.File);
        Assert.Equal((Tiers.Disk, false), (onDisk.File!.Tier, onDisk.File.IsUnfinished));
        AssertLeadsTo(onDisk.File, checkpoint.Bytes[0]);

        var published = TestCheckpoint.Create(5000, 6000);
        var path = pair.Source["published.bin"];
        await File.WriteAllBytesAsync(path, [.. published.Bytes[0], .. published.Bytes[1]]);
        using (var file = PosixFile.OpenRead(path, followSymlinks: false))
        {
            await pair.Source.Store.ReferenceAsync(path, FileIdentity.Of(file), [new FileExtent(published.Manifest.Shards[1], 5000)], TestNode.Deadline);
        }

        using var referenced = await pair.LeaseAsync(published.Manifest.Shards[1], LeaseKind.File);
        Assert.Equal((Tiers.Reference, path, 5000), (referenced.File!.Tier, referenced.File.Path, referenced.File.Offset));
        AssertLeadsTo(referenced.File, published.Bytes[1]);
    }

    [Fact]
    public async Task Lease_on_memory_has_the_exporters_keys_and_is_withdrawn_when_it_is_given_back()
    {
        var checkpoint = TestCheckpoint.Create(100_000);
        await using var pair = await LeasePair.OpenAsync(checkpoint);
        var connected = await pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(), TestNode.Deadline);
        Assert.Equal(2, connected.Devices.Single().Queues.Length);

        var lease = await pair.LeaseAsync(checkpoint.Manifest.Shards[0], LeaseKind.Memory);

        Assert.Equal(new RemoteKey(3, lease.Memory!.Keys[0].Address, (uint)lease.Id), Assert.Single(lease.Memory.Keys));
        Assert.Equal((1, 1), (pair.Queues.Exporters[0].Exported, pair.LeasesOut));
        Assert.Equal((1, 100_000), pair.Serving.Served);
        lease.Dispose();
        await Eventually.HoldsAsync(() => pair.Queues.Exporters[0].Exported == 0, "the lease is withdrawn");
        await pair.NothingIsOutAsync();
    }

    [Fact]
    public async Task Lease_on_memory_of_a_shard_on_disk_brings_it_to_memory()
    {
        var checkpoint = TestCheckpoint.Create(100_000);
        await using var pair = await LeasePair.OpenAsync();
        var path = pair.Source["weights.bin"];
        await File.WriteAllBytesAsync(path, checkpoint.Bytes[0]);
        using (var file = PosixFile.OpenRead(path, followSymlinks: false))
        {
            await pair.Source.Store.ReferenceAsync(path, FileIdentity.Of(file), [new FileExtent(checkpoint.Manifest.Shards[0], 0)], TestNode.Deadline);
        }

        await pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(), TestNode.Deadline);
        using var lease = await pair.LeaseAsync(checkpoint.Manifest.Shards[0], LeaseKind.Memory);
        Assert.Equal(Tiers.Memory | Tiers.Reference, pair.Source.Store.Locate(checkpoint.Manifest.Shards[0].Digest));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Shard_that_is_not_held_or_has_another_size_is_not_found(int kind)
    {
        var checkpoint = TestCheckpoint.Create(100_000);
        await using var pair = await LeasePair.OpenAsync(checkpoint);
        await pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(), TestNode.Deadline);
        foreach (var shard in (ShardInfo[])[TestCheckpoint.Create(5).Manifest.Shards[0], checkpoint.Manifest.Shards[0] with { Size = 99_999 }])
        {
            var outcome = await pair.Leases.LocateAsync(shard, (LeaseKind)kind, TestNode.Deadline);
            Assert.Equal((FetchStatus.NotFound, null), (outcome.Status, outcome.Lease));
        }

        await pair.NothingIsOutAsync();
    }

    [Fact]
    public async Task Memory_is_refused_with_the_reason_without_queues_or_when_it_cannot_be_exported()
    {
        var checkpoint = TestCheckpoint.Create(100_000);
        await using var pair = await LeasePair.OpenAsync(checkpoint, slots: 1);
        var shard = checkpoint.Manifest.Shards[0];
        AssertPathFailed("no queue pairs", await pair.Leases.LocateAsync(shard, LeaseKind.Memory, TestNode.Deadline));

        pair.Queues.Refusal = "the port is down";
        var refusal = await Assert.ThrowsAsync<TransferException>(() => pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(), TestNode.Deadline).AsTask());
        Assert.Equal(TransferError.PathRefused, refusal.Error);
        Assert.Contains("the port is down", refusal.Message, StringComparison.Ordinal);

        pair.Queues.Refusal = null;
        await pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(), TestNode.Deadline);
        pair.Queues.Exporters[0].Failure = "no memory window is left";
        for (var round = 0; round < 3; round++)
        {
            // Not once: the one slot is back each time.
            AssertPathFailed("no memory window", await pair.Leases.LocateAsync(shard, LeaseKind.Memory, TestNode.Deadline));
        }

        pair.Queues.Exporters[0].Failure = null;
        (await pair.LeaseAsync(shard, LeaseKind.Memory)).Dispose();
    }

    [Fact]
    public async Task Request_that_fails_as_none_should_is_refused_with_the_reason_and_the_lane_goes_on()
    {
        var checkpoint = TestCheckpoint.Create(100_000);
        await using var pair = await LeasePair.OpenAsync(checkpoint, slots: 1);
        var shard = checkpoint.Manifest.Shards[0];
        pair.Queues.Fault = new InvalidOperationException("the driver lost its mind");
        var refusal = await Assert.ThrowsAsync<TransferException>(() => pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(), TestNode.Deadline).AsTask());
        Assert.Equal(TransferError.PathRefused, refusal.Error);
        Assert.Contains("ConnectQueues failed at the peer: the driver lost its mind", refusal.Message, StringComparison.Ordinal);

        pair.Queues.Fault = null;
        await pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(), TestNode.Deadline);
        Assert.Equal(IPAddress.Loopback, pair.Queues.Caller);
        pair.Queues.Fault = new InvalidOperationException("again");
        for (var round = 0; round < 3; round++)
        {
            AssertPathFailed("Locate failed at the peer: again", await pair.Leases.LocateAsync(shard, LeaseKind.Memory, TestNode.Deadline));
        }

        pair.Queues.Fault = null;
        (await pair.LeaseAsync(shard, LeaseKind.Memory)).Dispose();
        await pair.NothingIsOutAsync();
    }

    [Fact]
    public async Task Memory_that_has_no_room_is_refused_with_the_reason()
    {
        var checkpoint = TestCheckpoint.Create(100_000);
        await using var pair = await LeasePair.OpenAsync(checkpoint, memory: 0);
        await pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(), TestNode.Deadline);
        AssertPathFailed("no room", await pair.Leases.LocateAsync(checkpoint.Manifest.Shards[0], LeaseKind.Memory, TestNode.Deadline));
    }

    [Fact]
    public async Task Memory_leases_take_upload_slots_and_file_leases_do_not()
    {
        var checkpoint = TestCheckpoint.Uniform(3, 5000);
        await using var pair = await LeasePair.OpenAsync(checkpoint, slots: 2);
        var shards = checkpoint.Manifest.Shards;
        await pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(), TestNode.Deadline);
        var first = await pair.LeaseAsync(shards[0], LeaseKind.Memory);
        using var second = await pair.LeaseAsync(shards[1], LeaseKind.Memory);

        var third = await pair.Leases.LocateAsync(shards[2], LeaseKind.Memory, TestNode.Deadline);
        Assert.Equal(FetchStatus.Busy, third.Status);
        Assert.True(third.RetryAfter > TimeSpan.Zero);
        using var file = await pair.LeaseAsync(shards[2], LeaseKind.File);

        first.Dispose();
        await Eventually.HoldsAsync(() => pair.LeasesOut == 2, "the first lease is back");
        using var again = await pair.LeaseAsync(shards[2], LeaseKind.Memory);
    }

    [Fact]
    public async Task File_leases_that_would_keep_the_last_eighth_of_the_memory_tier_are_brief()
    {
        var checkpoint = TestCheckpoint.Uniform(4, 16 << 20);
        await using var pair = await LeasePair.OpenAsync(checkpoint, memory: 64 << 20);
        var leases = new List<SourceLease>();
        for (var i = 0; i < 3; i++)
        {
            leases.Add(await pair.LeaseAsync(checkpoint.Manifest.Shards[i], LeaseKind.File));
            Assert.False(leases[i].IsBrief);
        }

        using (var brief = await pair.LeaseAsync(checkpoint.Manifest.Shards[3], LeaseKind.File))
        {
            Assert.True(brief.IsBrief);
        }

        leases[0].Dispose();
        await Eventually.HoldsAsync(() => pair.LeasesOut == 2, "the first lease is back, and the brief one");
        leases.Add(await pair.LeaseAsync(checkpoint.Manifest.Shards[3], LeaseKind.File));
        Assert.False(leases[3].IsBrief);
        leases.ForEach(lease => lease.Dispose());
        await pair.NothingIsOutAsync();
    }

    [Fact]
    public async Task Locate_that_waits_is_cancelled_at_once_and_leaves_nothing_out()
    {
        var checkpoint = TestCheckpoint.Uniform(2, 1 << 20);
        await using var pair = await LeasePair.OpenAsync(checkpoint, slots: 1);
        pair.Queues.Hold = new TaskCompletionSource().Task;
        await pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(), TestNode.Deadline);
        using var cancel = new CancellationTokenSource();

        var waiting = pair.Leases.LocateAsync(checkpoint.Manifest.Shards[0], LeaseKind.Memory, cancel.Token).AsTask();
        await Eventually.HoldsAsync(() => pair.LeasesOut == 1, "the request waits to be exported");

        // Nothing that waits holds up the lane.
        using (await pair.LeaseAsync(checkpoint.Manifest.Shards[1], LeaseKind.File))
        {
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        }

        await pair.NothingIsOutAsync();
        await Eventually.HoldsAsync(() => pair.Slots.TryTake(Guid.Empty), "the slot is given back");
    }

    [Fact]
    public async Task Memory_leases_are_given_no_faster_than_the_upload_rate_and_whoever_must_wait_long_is_told_so()
    {
        var checkpoint = TestCheckpoint.Uniform(4, 1 << 20);
        await using var pair = await LeasePair.OpenAsync(checkpoint, bytesPerSecond: 2 << 20);
        await pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(), TestNode.Deadline);
        var busy = 0;
        var started = TimeProvider.System.GetTimestamp();
        await Parallel.ForEachAsync(checkpoint.Manifest.Shards, async (shard, cancellationToken) =>
        {
            while (await pair.Leases.LocateAsync(shard, LeaseKind.Memory, cancellationToken) is var outcome && outcome.Lease is null)
            {
                Assert.Equal(FetchStatus.Busy, outcome.Status);
                Interlocked.Increment(ref busy);
                await Task.Delay(outcome.RetryAfter, cancellationToken);
            }
        });

        // 4 MiB at 2 MiB/s, less the tenth of a second that the bucket holds at the start; a slower machine only makes it longer.
        Assert.True(TimeProvider.System.GetElapsedTime(started) > TimeSpan.FromSeconds(1.8));

        // A shard is half a second of the rate, and no request waits as long: what the ones given up have paid must have counted for others.
        Assert.NotEqual(0, busy);
        Assert.Equal(4 << 20, pair.Serving.Served.Bytes);
    }

    [Fact]
    public async Task Requests_cancelled_at_any_moment_leave_nothing_out()
    {
        var checkpoint = TestCheckpoint.Uniform(8, 5000);
        await using var pair = await LeasePair.OpenAsync(checkpoint);
        await pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(), TestNode.Deadline);
        var waits = Enumerable.Range(0, 600).Select(_ => checkpoint.Seeded.Random.Next(3000)).ToArray();
        await Parallel.ForEachAsync(waits.Index(), new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (request, _) =>
        {
            using var cancel = new CancellationTokenSource();
            var locating = pair.Leases.LocateAsync(checkpoint.Manifest.Shards[request.Index % 8], (LeaseKind)(1 + (request.Index % 2)), cancel.Token).AsTask();
            Thread.SpinWait(request.Item);
            await cancel.CancelAsync();
            try
            {
                (await locating).Lease?.Dispose();
            }
            catch (OperationCanceledException)
            {
            }
        });

        await pair.NothingIsOutAsync();
        await Eventually.HoldsAsync(() => pair.Leases.Leases == 0, $"the caller knows no lease any more; {checkpoint.Seeded}");
        Assert.False(pair.Leases.Ended.IsCompleted);
    }

    [Fact]
    public async Task Queues_connected_anew_end_the_leases_and_the_exporter_before_them()
    {
        var checkpoint = TestCheckpoint.Create(5000);
        await using var pair = await LeasePair.OpenAsync(checkpoint);
        await pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(), TestNode.Deadline);
        using var before = await pair.LeaseAsync(checkpoint.Manifest.Shards[0], LeaseKind.Memory);
        using var file = await pair.LeaseAsync(checkpoint.Manifest.Shards[0], LeaseKind.File);

        await pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(queues: 4), TestNode.Deadline);

        Assert.Equal((true, false), (pair.Queues.Exporters[0].IsDisposed, pair.Queues.Exporters[1].IsDisposed));
        Assert.Equal(1, pair.LeasesOut);
        using var after = await pair.LeaseAsync(checkpoint.Manifest.Shards[0], LeaseKind.Memory);
        Assert.Equal(1, pair.Queues.Exporters[1].Exported);
    }

    [Fact]
    public async Task Thousands_of_leases_are_given_and_given_back()
    {
        var checkpoint = TestCheckpoint.Uniform(4, 1000);
        await using var pair = await LeasePair.OpenAsync(checkpoint);
        var leases = await Task.WhenAll(Enumerable.Range(0, 5000).Select(i => pair.LeaseAsync(checkpoint.Manifest.Shards[i % 4], LeaseKind.File)));
        Assert.Equal((5000, 5000), (pair.LeasesOut, pair.Leases.Leases));
        Array.ForEach(leases, lease => lease.Dispose());
        await pair.NothingIsOutAsync();
    }

    [Fact]
    public async Task Host_is_proved_by_the_nonce_in_the_arena_and_only_for_the_node_that_answers()
    {
        await using var pair = await LeasePair.OpenAsync();
        var challenge = HostProof.NewChallenge();

        var proof = await pair.Leases.ProveHostAsync(challenge, TestNode.Deadline);

        var arena = pair.Source.Store.Arena!;
        Assert.Equal(arena.Path, proof.ArenaPath);
        Assert.True(HostProof.Matches(proof.Proof.Span, arena.Nonce, challenge, pair.Source.Store.NodeId));
        Assert.False(HostProof.Matches(proof.Proof.Span, Guid.NewGuid(), challenge, pair.Source.Store.NodeId));
        Assert.False(HostProof.Matches(proof.Proof.Span, arena.Nonce, challenge, Guid.NewGuid()));
        Assert.False(HostProof.Matches(proof.Proof.Span, arena.Nonce, HostProof.NewChallenge(), pair.Source.Store.NodeId));

        // The key is what stands in the file, as another process reads it: 16 bytes behind magic, version and unit size.
        using var file = PosixFile.OpenRead(proof.ArenaPath, followSymlinks: false);
        var header = new byte[32];
        Assert.Equal(32, RandomAccess.Read(file, header, 0));
        Assert.True(HostProof.Matches(proof.Proof.Span, new Guid(header.AsSpan(16, 16)), challenge, pair.Source.Store.NodeId));
    }

    [Fact]
    public async Task Node_without_an_arena_proves_no_host()
    {
        await using var pair = await LeasePair.OpenAsync(memory: 0);
        var proof = await pair.Leases.ProveHostAsync(HostProof.NewChallenge(), TestNode.Deadline);
        Assert.Equal(("", 0), (proof.ArenaPath, proof.Proof.Length));
    }

    private static void AssertLeadsTo(FileLocation location, byte[] bytes)
    {
        using var file = PosixFile.OpenRead(location.Path, followSymlinks: false);
        var identity = FileIdentity.Of(file);
        Assert.Equal(location.Identity, location.Tier == Tiers.Memory ? identity with { ModifiedNs = location.Identity.ModifiedNs } : identity);
        var read = new byte[bytes.Length];
        Assert.Equal(bytes.Length, RandomAccess.Read(file, read, location.Offset));
        Assert.Equal(bytes, read);
    }

    private static void AssertPathFailed(string reason, LocateOutcome outcome)
    {
        Assert.Equal((FetchStatus.PathFailed, null), (outcome.Status, outcome.Lease));
        Assert.Contains(reason, outcome.Detail, StringComparison.Ordinal);
    }
}
