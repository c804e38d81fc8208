using P2PWeights.Native.Posix;
using P2PWeights.Native.Verbs;

namespace P2PWeights.Native.Tests.Verbs;

public sealed class QueuePairTests
{
    private const int MiB = ConnectedPairs.MiB;

    [VerbsDeviceFact]
    public void Read_of_a_mebibyte_brings_the_bytes()
    {
        using var pairs = new ConnectedPairs();

        Assert.Equal(new PostOutcome(1, 0), pairs.Reader.PostReads([pairs.Read(7, 4096, MiB, pairs.Remote.RemoteKey)]));

        var completion = Assert.Single(ConnectedPairs.Take(pairs.ReaderCompletions, 1));
        Assert.Equal((WorkStatus.Success, 7UL, pairs.Reader.Number), (completion.Status, completion.Id, completion.QueuePair));
        Assert.True(pairs.Received[4096..(4096 + MiB)].SequenceEqual(pairs.Data.AsSpan(4096, MiB)), $"other bytes, {pairs.Seed}");
        Assert.False(pairs.Received[..4096].ContainsAnyExcept((byte)0), "bytes before the range");
        Assert.False(pairs.Received[(4096 + MiB)..].ContainsAnyExcept((byte)0), "bytes behind the range");
    }

    [VerbsDeviceFact]
    public void A_chain_reports_only_what_is_signalled_and_keeps_its_order()
    {
        using var pairs = new ConnectedPairs();
        const int Piece = 8192;

        // More than one chain of the driver's; every tenth signalled, and the last.
        var reads = Enumerable.Range(0, 40).Select(index => pairs.Read((ulong)index, index * Piece, Piece, pairs.Remote.RemoteKey, index % 10 == 9)).ToArray();
        Assert.Equal(new PostOutcome(40, 0), pairs.Reader.PostReads(reads));

        Assert.Equal([9UL, 19, 29, 39], ConnectedPairs.Take(pairs.ReaderCompletions, 4).Select(completion => completion.Id));
        Assert.True(pairs.Received[..(40 * Piece)].SequenceEqual(pairs.Data.AsSpan(0, 40 * Piece)), $"other bytes, {pairs.Seed}");
    }

    [VerbsDeviceFact]
    public void A_full_queue_takes_what_fits_and_says_how_much()
    {
        using var pairs = new ConnectedPairs(depth: 16, completions: 1024);
        using var reader = pairs.Unconnected(pairs.ReaderCompletions, remoteRead: false);
        using var silent = pairs.Unconnected(pairs.ServerCompletions, remoteRead: true);
        pairs.Connect(reader, silent, 1, 2); // one side only, so that nothing is answered
        var reads = Enumerable.Range(0, 512).Select(index => pairs.Read((ulong)index, 0, 4096, pairs.Remote.RemoteKey)).ToArray();

        var outcome = reader.PostReads(reads);

        Assert.Equal((Errno.NoMemory, false), (outcome.Error, outcome.IsComplete));
        Assert.InRange(outcome.Posted, 16, reads.Length - 1);

        // What was taken completes, whatever becomes of it: here by being given up.
        reader.Fail();
        var completions = ConnectedPairs.Take(pairs.ReaderCompletions, outcome.Posted);
        Assert.Equal(Enumerable.Range(0, outcome.Posted).Select(index => (ulong)index), completions.Select(completion => completion.Id));
        Assert.All(completions, completion => Assert.Contains(completion.Status, new[] { WorkStatus.Flushed, WorkStatus.RetryExceeded }));
    }

    [VerbsDeviceFact]
    public void A_read_outside_the_region_fails_and_the_rest_is_flushed()
    {
        using var pairs = new ConnectedPairs();
        var outside = new ReadRequest(1, pairs.Local.Address, pairs.Local.LocalKey, (ulong)(pairs.Remote.Address + pairs.Remote.Length - 4096), pairs.Remote.RemoteKey, 8192, true);

        pairs.Reader.PostReads([outside, pairs.Read(2, 0, 4096, pairs.Remote.RemoteKey)]);

        Assert.Equal(
            [(1UL, WorkStatus.RemoteAccessError), (2UL, WorkStatus.Flushed)],
            ConnectedPairs.Take(pairs.ReaderCompletions, 2).Select(completion => (completion.Id, completion.Status)));
        Assert.Equal("remote access error", WorkCompletion.Text(WorkStatus.RemoteAccessError));
    }

    [VerbsDeviceFact]
    public void A_region_that_was_released_cannot_be_read_any_more()
    {
        using var pairs = new ConnectedPairs();
        var key = pairs.Remote.RemoteKey;
        var request = pairs.Read(1, 0, 4096, key);
        pairs.Remote.Dispose();

        pairs.Reader.PostReads([request]);

        Assert.Equal(WorkStatus.RemoteAccessError, ConnectedPairs.Take(pairs.ReaderCompletions, 1)[0].Status);
    }

    [VerbsDeviceFact]
    public void A_peer_that_failed_ends_the_reads_with_an_error()
    {
        using var pairs = new ConnectedPairs();
        pairs.Server.Fail();

        pairs.Reader.PostReads([pairs.Read(1, 0, 4096, pairs.Remote.RemoteKey)]);

        Assert.NotEqual(WorkStatus.Success, ConnectedPairs.Take(pairs.ReaderCompletions, 1)[0].Status);
    }

    [VerbsDeviceFact]
    public void A_failed_queue_pair_takes_no_requests_or_flushes_them()
    {
        using var pairs = new ConnectedPairs();
        pairs.Reader.Fail();

        var outcome = pairs.Reader.PostReads([pairs.Read(1, 0, 4096, pairs.Remote.RemoteKey)]);

        if (outcome.IsComplete)
            Assert.Equal(WorkStatus.Flushed, ConnectedPairs.Take(pairs.ReaderCompletions, 1)[0].Status);
        else
            Assert.Equal(0, outcome.Posted);
    }

    [VerbsDeviceFact]
    public void Settings_beyond_the_device_are_refused_by_name()
    {
        using var pairs = new ConnectedPairs();
        var depth = pairs.Device.QueryAttributes().MaxQueueDepth + 1;

        var exception = Assert.Throws<NativeException>(() => QueuePair.Create(pairs.Domain, pairs.ReaderCompletions, new() { Port = pairs.Use.Port.Number, Depth = depth }));

        Assert.Equal("ibv_create_qp", exception.Function);
        Assert.Contains(pairs.Device.Name, exception.Message, StringComparison.Ordinal);
    }
}
