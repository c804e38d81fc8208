using System.Runtime.InteropServices;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Testing.Faults;
using P2PWeights.Transfer.Tests.Paths.Local;

namespace P2PWeights.Transfer.Tests.Paths;

/// <summary>
/// What every implementation of <see cref="ITransferPath"/> keeps. A test class per path derives from it, and says with the members below what the path needs and
/// what it may do.
/// A path whose reads happen under leases derives from <see cref="LeasedPathContract"/>.
/// </summary>
public abstract class TransferPathContract
{
    private const int Large = 16 << 20;

    /// <summary>When something happens to a fetch.</summary>
    public enum Stage
    {
        /// <summary>Nothing was asked for.</summary>
        Before,

        /// <summary>The first fetch of a channel waits: no connection for it is up.</summary>
        Opening,

        /// <summary>The channel was used already; the source has not answered this fetch.</summary>
        Waiting,

        /// <summary>The first bytes are here.</summary>
        FirstBytes,

        /// <summary>The last byte is here, and the fetch has not returned.</summary>
        LastBytes,

        /// <summary>The fetch has returned.</summary>
        After,
    }

    public static TheoryData<Stage> Stages => [.. Enum.GetValues<Stage>()];

    /// <summary>Whether the shards' bytes cross the connections between the nodes. When not, a source that dies in the middle may go unnoticed.</summary>
    private protected virtual bool PayloadCrossesSockets => true;

    /// <summary>Whether the path can read only what the source has room for in its memory tier.</summary>
    private protected virtual bool NeedsSourceMemory => false;

    /// <summary>Whether the path reaches a source at all that has no memory tier.</summary>
    private protected virtual bool ReachesSourceWithoutMemory => true;

    /// <summary>The path under test, as a node would use it; disposed with the pair when it can be.</summary>
    private protected abstract ITransferPath NewPath(TestNode node);

    /// <summary>Starts a node of a pair; for a path whose nodes need other options.</summary>
    private protected virtual Task<TestNode> StartNodeAsync(string name, long memoryBytes) => TestNode.StartAsync(name, new TransferOptions(), memoryBytes);

    /// <summary>A source, a node and an open channel between them.</summary>
    /// <param name="sourceMemoryBytes">With 0, the source keeps its shards in files.</param>
    private protected async Task<PathPair> OpenAsync(long sourceMemoryBytes = 64 << 20)
    {
        var node = await StartNodeAsync("node", 64 << 20);
        return await PathPair.OpenAsync(await StartNodeAsync("source", sourceMemoryBytes), node, NewPath(node));
    }

    [PathTheory]
    [InlineData(64L << 20)]
    [InlineData(0)]
    public async Task Fetch_of_any_size_from_memory_or_files_fills_the_buffer_and_counts_every_byte(long sourceMemoryBytes)
    {
        var checkpoint = TestCheckpoint.Create(1, 4095, 4096, 4097, (1 << 20) - 1, 1 << 20, 16 << 20);
        if (sourceMemoryBytes == 0 && !ReachesSourceWithoutMemory)
        {
            await using var source = await StartNodeAsync("source", 0);
            await using var node = await StartNodeAsync("node", 64 << 20);
            await using var peer = await PeerConnection.OpenAsync(node, source.Info);
            var opening = await NewPath(node).OpenAsync(peer.Session, TestNode.Deadline);
            Assert.True(opening.Channel is null && !string.IsNullOrEmpty(opening.Reason), opening.ToString());
            return;
        }

        await using var pair = await OpenAsync(sourceMemoryBytes);
        await pair.Source.HoldAsync(checkpoint);
        foreach (var ordinal in checkpoint.All)
        {
            using var write = await pair.BeginAsync(checkpoint, ordinal);
            var received = 0L;

            var outcome = await pair.Channel.FetchAsync(write, count => Interlocked.Add(ref received, count), TestNode.Deadline);

            if (NeedsSourceMemory && sourceMemoryBytes == 0)
            {
                Assert.True(outcome.Status == FetchStatus.PathFailed && !string.IsNullOrEmpty(outcome.Detail), $"{write.Shard}: {outcome}");
                continue;
            }

            Assert.True(outcome.Status == FetchStatus.Ok, $"{write.Shard}: {outcome}");
            Assert.Equal(write.Shard.Size, received);
            Assert.True(write.Buffer.Span.SequenceEqual(checkpoint.Bytes[ordinal]), $"{write.Shard}: {checkpoint.Seeded}");
            await write.CommitAsync(TestNode.Deadline);
        }

        if (!NeedsSourceMemory || sourceMemoryBytes > 0)
        {
            await pair.Node.AssertHoldsAsync(checkpoint);
        }
    }

    [PathFact]
    public async Task Shard_of_no_bytes_is_refused_before_any_io()
    {
        // No manifest has one (an empty file has no shards), so a caller that asks for it has a fault: the store gives it no room, and without room nothing is fetched.
        var checkpoint = TestCheckpoint.Create(1000);
        await using var pair = await OpenAsync();
        await pair.Source.HoldAsync(checkpoint);
        var nothing = checkpoint.Manifest.Shards[0] with { Size = 0 };

        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await pair.Node.Store.BeginWriteAsync(nothing, null, TestNode.Deadline));

        Assert.Equal(0, pair.Source.Transfer.Served.Shards);
        Assert.NotEqual(FetchStatus.Ok, (await pair.Channel.AdoptAsync(nothing, null, _ => { }, TestNode.Deadline)).Status);
        Assert.False(pair.Node.Store.Contains(nothing.Digest));
    }

    [PathFact]
    public async Task Sixty_four_fetches_at_once_all_fill_their_own_buffer()
    {
        var checkpoint = TestCheckpoint.Create([.. Enumerable.Range(0, 64).Select(i => i % 8 == 0 ? 1 + i : 100_000 + i)]);
        await using var pair = await OpenAsync();
        await pair.Source.HoldAsync(checkpoint);

        await Task.WhenAll(checkpoint.All.Select(async ordinal =>
        {
            using var write = await pair.BeginAsync(checkpoint, ordinal);
            FetchOutcome outcome;
            while ((outcome = await pair.Channel.FetchAsync(write, _ => { }, TestNode.Deadline)).Status == FetchStatus.Busy)
            {
                await Task.Delay(outcome.RetryAfter, TestNode.Deadline);
            }

            Assert.True(outcome.Status == FetchStatus.Ok, outcome.ToString());
            await write.CommitAsync(TestNode.Deadline);
        }));

        await pair.Node.AssertHoldsAsync(checkpoint);
    }

    [PathFact]
    public async Task Payload_crosses_sockets_only_when_the_path_says_so()
    {
        var checkpoint = TestCheckpoint.Uniform(4, 1 << 20);
        await using var pair = await OpenAsync();
        await pair.Source.HoldAsync(checkpoint);

        foreach (var ordinal in checkpoint.All)
        {
            await pair.FetchRightAsync(checkpoint, ordinal);
        }

        // The proxy counts a piece when it has passed it on: the last may not be counted yet.
        Assert.True((pair.Proxy.ToCaller.Bytes >= checkpoint.TotalBytes / 2) == PayloadCrossesSockets, pair.Proxy.ToString());
        Assert.True(PayloadCrossesSockets || pair.Proxy.ToCaller.Bytes < 64 << 10, pair.Proxy.ToString());
    }

    [PathFact]
    public async Task Shard_is_adopted_whole_or_left_to_be_fetched()
    {
        var checkpoint = TestCheckpoint.Create(300_000, 5000);
        await using var pair = await OpenAsync();
        await pair.Source.HoldAsync(checkpoint);

        foreach (var ordinal in checkpoint.All)
        {
            var shard = checkpoint.Manifest.Shards[ordinal];
            var outcome = await pair.Channel.AdoptAsync(shard, null, _ => { }, TestNode.Deadline);

            Assert.True(outcome.Status is FetchStatus.Ok or FetchStatus.NotAdopted or FetchStatus.NotCarried, outcome.ToString());
            Assert.Equal(outcome.Status == FetchStatus.Ok, pair.Node.Store.Contains(shard.Digest));
            if (outcome.Status == FetchStatus.Ok)
            {
                using var lease = await pair.Node.Store.LeaseAsync(shard.Digest, TestNode.Deadline);
                var bytes = new byte[shard.Size];
                await lease!.Value.ReadAsync(bytes, TestNode.Deadline);
                Assert.True(bytes.AsSpan().SequenceEqual(checkpoint.Bytes[ordinal]), checkpoint.Seeded.ToString());
            }
        }
    }

    [PathFact]
    public async Task Fetch_of_a_shard_that_is_not_held_is_not_found()
    {
        var checkpoint = TestCheckpoint.Create(1000);
        await using var pair = await OpenAsync();
        using var write = await pair.BeginAsync(checkpoint);

        var outcome = await pair.Channel.FetchAsync(write, _ => { }, TestNode.Deadline);

        Assert.True(outcome.Status == FetchStatus.NotFound, outcome.ToString());
    }

    [PathTheory]
    [InlineData(-1)]
    [InlineData(1)]
    public async Task Shard_that_the_source_holds_in_another_size_is_not_fetched(int more)
    {
        var checkpoint = TestCheckpoint.Create(100_000);
        await using var pair = await OpenAsync();
        await pair.Source.HoldAsync(checkpoint);
        var other = checkpoint.Manifest.Shards[0] with { Size = 100_000 + more };
        using var write = await pair.Node.Store.BeginWriteAsync(other, null, TestNode.Deadline);

        var outcome = await pair.Channel.FetchAsync(write, _ => { }, TestNode.Deadline);

        Assert.True(outcome.Status is FetchStatus.NotFound or FetchStatus.ProtocolError, outcome.ToString());
    }

    [PathFact]
    public async Task Wrong_bytes_are_refused_by_the_commit_and_reach_no_reader()
    {
        var checkpoint = TestCheckpoint.Create(1 << 20);
        var digest = checkpoint.Manifest.Shards[0].Digest;
        await using var pair = await OpenAsync();
        await pair.Source.HoldAsync(checkpoint);
        await CorruptAsync(pair.Source, digest, checkpoint.Seeded.Random.Next(1 << 20));

        using (var write = await pair.BeginAsync(checkpoint))
        {
            var outcome = await pair.Channel.FetchAsync(write, _ => { }, TestNode.Deadline);
            Assert.True(outcome.Status == FetchStatus.Ok, outcome.ToString());
            var refusal = await Assert.ThrowsAsync<StoreException>(async () => await write.CommitAsync(TestNode.Deadline));
            Assert.Equal(StoreError.WrongDigest, refusal.Error);
        }

        Assert.False(pair.Node.Store.Contains(digest), checkpoint.Seeded.ToString());
        await pair.Channel.AdoptAsync(checkpoint.Manifest.Shards[0], null, _ => { }, TestNode.Deadline);
        using var adopted = await pair.Node.Store.LeaseAsync(digest, TestNode.Deadline);
        Assert.True(adopted is null, $"wrong bytes can be read; {checkpoint.Seeded}");
    }

    [PathFact]
    public async Task Source_whose_file_became_shorter_gives_no_shard()
    {
        var checkpoint = TestCheckpoint.Create(1 << 20, 5000);
        var shard = checkpoint.Manifest.Shards[0];
        await using var pair = await OpenAsync(ReachesSourceWithoutMemory ? 0 : 64 << 20);
        await pair.Source.HoldAsync(checkpoint);
        await using (var stream = new FileStream(FileOf(pair.Source, shard.Digest), FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete))
        {
            stream.SetLength(shard.Size / 2);
        }

        using var write = await pair.BeginAsync(checkpoint);
        var outcome = await pair.Channel.FetchAsync(write, _ => { }, TestNode.Deadline);

        // RDMA has no short reads: one brings all its bytes or ends in an error. So the source's file is the one place where its bytes can be too few.
        Assert.True(outcome.Status is not FetchStatus.Ok, outcome.ToString());
        Assert.False(pair.Node.Store.Contains(shard.Digest));
        if (!NeedsSourceMemory && ReachesSourceWithoutMemory)
        {
            await pair.FetchRightAsync(checkpoint, 1);
        }
    }

    [PathTheory]
    [MemberData(nameof(Stages))]
    public async Task Fetch_cancelled_at_any_stage_writes_no_more_and_leaves_the_channel_usable(Stage stage)
    {
        var checkpoint = TestCheckpoint.Create(Large, 5000, 6000);
        await using var pair = await OpenAsync();
        await pair.Source.HoldAsync(checkpoint);
        using var write = await pair.BeginAsync(checkpoint);
        using var cancel = new CancellationTokenSource();

        var isOk = await RunToAsync(pair, checkpoint, write, stage, Cancel, cancel.Token) is { Status: FetchStatus.Ok };

        // What was cancelled before the last byte came cannot be whole; behind it either end is right.
        Assert.True(!isOk || stage >= Stage.LastBytes || (stage == Stage.FirstBytes && !PayloadCrossesSockets), $"cancelled at {stage} and whole; {pair.Proxy}");
        Assert.True(isOk || stage != Stage.After, pair.Proxy.ToString());
        pair.Proxy.ToTarget.Line = pair.Proxy.ToCaller.Line = FaultLine.Clear;
        write.Buffer.Span.Clear();
        await pair.FetchRightAsync(checkpoint, 1);
        Assert.False(write.Buffer.Span.ContainsAnyExcept((byte)0), $"bytes came after the end of the fetch; {checkpoint.Seeded}; {pair.Proxy}");

        Task Cancel()
        {
            cancel.Cancel();
            return Task.CompletedTask;
        }
    }

    [PathTheory]
    [MemberData(nameof(Stages))]
    public async Task Source_that_dies_at_any_stage_gives_a_whole_shard_or_a_failure(Stage stage)
    {
        var checkpoint = TestCheckpoint.Create(Large, 5000, 6000);
        await using var pair = await OpenAsync();
        await pair.Source.HoldAsync(checkpoint);
        using var write = await pair.BeginAsync(checkpoint);

        var outcome = await RunToAsync(pair, checkpoint, write, stage, () => Task.Run(pair.Source.StopServingAsync), TestNode.Deadline);

        Assert.NotNull(outcome);
        if (outcome.Value.Status == FetchStatus.Ok)
        {
            Assert.True(stage >= Stage.LastBytes || (stage == Stage.FirstBytes && !PayloadCrossesSockets), $"whole from a source that died at {stage}; {pair.Proxy}");
            await write.CommitAsync(TestNode.Deadline);
        }
        else
        {
            Assert.True(stage != Stage.After && outcome.Value.Status is FetchStatus.Disconnected or FetchStatus.PathFailed, $"{outcome} at {stage}; {pair.Proxy}");
            Assert.False(string.IsNullOrEmpty(outcome.Value.Detail), $"no reason at {stage}");
        }
    }

    [PathTheory]
    [InlineData(FaultKind.Reset)]
    [InlineData(FaultKind.Cut)]
    [InlineData(FaultKind.HalfClose)]
    public async Task Line_that_breaks_after_any_number_of_bytes_gives_a_whole_shard_or_a_failure(FaultKind kind)
    {
        const int Size = 1 << 20;
        var checkpoint = TestCheckpoint.Create(Size);
        await using var pair = await OpenAsync();
        await pair.Source.HoldAsync(checkpoint);
        int[] drawn = [.. Enumerable.Range(0, 4).Select(_ => checkpoint.Seeded.Random.Next(Size))];

        foreach (var after in (int[])[0, 1, 15, 16, 17, 300, Size - 1, .. drawn])
        {
            pair.Proxy.ToCaller.Line = FaultLine.Clear;
            await pair.ReopenAsync();
            pair.Proxy.ToCaller.Line = new FaultLine { Fault = kind, AfterBytes = after };
            using var write = await pair.BeginAsync(checkpoint);

            var outcome = await pair.Channel.FetchAsync(write, _ => { }, TestNode.Deadline);

            Assert.True(
                outcome.Status == FetchStatus.Ok
                    ? !PayloadCrossesSockets && write.Buffer.Span.SequenceEqual(checkpoint.Bytes[0])
                    : outcome.Status is FetchStatus.Disconnected or FetchStatus.PathFailed,
                $"{outcome}; {pair.Proxy}; {checkpoint.Seeded}");
        }
    }

    [PathFact]
    public async Task Channel_over_a_late_and_slow_line_opens_and_brings_whole_shards()
    {
        const int Size = 1 << 20;
        var checkpoint = TestCheckpoint.Create(Size, 1, 5000);
        await using var pair = await OpenAsync();
        await pair.Source.HoldAsync(checkpoint);
        pair.Proxy.ToTarget.Line = pair.Proxy.ToCaller.Line = new FaultLine { Delay = TimeSpan.FromMilliseconds(20), BytesPerSecond = 8 * Size };

        // Everything goes over it: the handshake, what the path sets itself up with, and the payload of a path that sends it.
        await pair.ReopenAsync();
        var before = pair.Proxy.ToCaller.Bytes;
        foreach (var ordinal in checkpoint.All)
        {
            await pair.FetchRightAsync(checkpoint, ordinal);
        }

        // The proxy counts bytes after they have gone on, so that the last ones may not be counted yet.
        Assert.True((pair.Proxy.ToCaller.Bytes - before > checkpoint.TotalBytes / 2) == PayloadCrossesSockets, pair.Proxy.ToString());
    }

    [PathFact]
    public async Task Byte_corrupted_on_its_way_is_found_by_the_commit()
    {
        const int Size = 1 << 20;
        var checkpoint = TestCheckpoint.Create(Size);
        await using var pair = await OpenAsync();
        await pair.Source.HoldAsync(checkpoint);

        // Behind the handshake and the header of the data frame.
        pair.Proxy.ToCaller.Line = new FaultLine { Fault = FaultKind.Corrupt, AfterBytes = checkpoint.Seeded.Random.Next(1000, Size) };
        using var write = await pair.BeginAsync(checkpoint);
        var outcome = await pair.Channel.FetchAsync(write, _ => { }, TestNode.Deadline);
        Assert.True(outcome.Status == FetchStatus.Ok, $"{outcome}; {pair.Proxy}");

        var refusal = await Record.ExceptionAsync(async () => await write.CommitAsync(TestNode.Deadline));

        Assert.Equal((PayloadCrossesSockets, PayloadCrossesSockets), (pair.Proxy.ToCaller.Hits == 1, refusal is StoreException { Error: StoreError.WrongDigest }));
        Assert.Equal(!PayloadCrossesSockets, pair.Node.Store.Contains(checkpoint.Manifest.Shards[0].Digest));
    }

    [PathFact]
    public async Task Channel_that_is_closed_ends_its_fetches()
    {
        var checkpoint = TestCheckpoint.Create(Large, 5000);
        await using var pair = await OpenAsync();
        await pair.Source.HoldAsync(checkpoint);
        await pair.FetchRightAsync(checkpoint, 1);
        pair.Proxy.ToTarget.Line = new FaultLine { Fault = FaultKind.Blackhole };
        using var write = await pair.BeginAsync(checkpoint);

        var fetch = pair.Channel.FetchAsync(write, _ => { }, TestNode.Deadline).AsTask();
        await pair.CloseAsync();

        Assert.NotEqual(FetchStatus.Ok, (await fetch).Status);
    }

    /// <summary>The file that holds a shard which the source serves over the path, when that is no arena.</summary>
    private protected virtual string FileOf(TestNode source, Digest digest) =>
        Assert.Single(Directory.GetFiles(source["data"], digest.ToString(), SearchOption.AllDirectories));

    /// <summary>Changes a byte of what the source serves over the path.</summary>
    private protected virtual async Task CorruptAsync(TestNode source, Digest digest, int at)
    {
        using var lease = await source.Store.LeaseAsync(digest, TestNode.Deadline);
        MemoryMarshal.AsMemory(lease!.Value.Memory).Span[at] ^= 1;
    }

    /// <summary>Fetches the first, large shard, and has something happen at a stage of it. Null when the fetch was cancelled.</summary>
    private async Task<FetchOutcome?> RunToAsync(
        PathPair pair, TestCheckpoint checkpoint, ShardWrite write, Stage stage, Func<Task> happen, CancellationToken cancellationToken)
    {
        if (stage >= Stage.Waiting)
        {
            await pair.FetchRightAsync(checkpoint, 2);
        }

        if (stage is Stage.Opening or Stage.Waiting)
        {
            pair.Proxy.ToTarget.Line = new FaultLine { Fault = FaultKind.Blackhole };
        }
        else if (stage is Stage.Before)
        {
            await happen();
        }
        else if (stage is Stage.FirstBytes)
        {
            pair.Proxy.ToCaller.Line = new FaultLine { BytesPerSecond = Large / 2 };
        }

        var received = 0;
        var happening = Task.CompletedTask;
        try
        {
            var fetching = pair.Channel.FetchAsync(write, OnReceived, cancellationToken).AsTask();
            if (stage is Stage.Opening or Stage.Waiting)
            {
                await pair.Proxy.HitAsync(pair.Proxy.ToTarget);
                await happen();
            }

            var outcome = await fetching;
            await (stage is Stage.After ? happen() : happening);
            return outcome;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return null;
        }

        void OnReceived(int count)
        {
            if (Interlocked.Add(ref received, count) == (stage is Stage.LastBytes ? write.Shard.Size : count) && stage is Stage.FirstBytes or Stage.LastBytes)
            {
                happening = happen();
            }
        }
    }
}
