using P2PWeights.Native.Verbs;

namespace P2PWeights.Native.Tests.Verbs;

public sealed class MemoryWindowTests
{
    private const int MiB = ConnectedPairs.MiB;
    private const ulong BindId = 100;

    [VerbsDeviceFact]
    public void A_bound_window_can_be_read_and_one_bound_to_nothing_cannot()
    {
        // The region itself is closed to peers.
        using var pairs = new ConnectedPairs(MemoryAccess.WindowBind);
        using var window = MemoryWindow.Create(pairs.Domain);
        Bind(pairs, window, MiB, MiB);
        var key = window.RemoteKey;
        Assert.Equal(WorkStatus.Success, Read(pairs, MiB, MiB, key));
        Assert.True(pairs.Received[MiB..].SequenceEqual(pairs.Data.AsSpan(MiB, MiB)), $"other bytes, {pairs.Seed}");

        Bind(pairs, window, 0, 0);

        Assert.Equal(WorkStatus.RemoteAccessError, Read(pairs, MiB, MiB, key));
    }

    [VerbsDeviceFact]
    public void The_key_of_an_earlier_bind_fails_after_the_next()
    {
        using var pairs = new ConnectedPairs(MemoryAccess.WindowBind);
        using var window = MemoryWindow.Create(pairs.Domain);
        Bind(pairs, window, 0, 4096);
        var stale = window.RemoteKey;
        Bind(pairs, window, 0, 4096);

        Assert.NotEqual(stale, window.RemoteKey);
        Assert.Equal(WorkStatus.Success, Read(pairs, 0, 4096, window.RemoteKey));
        Assert.Equal(WorkStatus.RemoteAccessError, Read(pairs, 0, 4096, stale));
    }

    [VerbsDeviceFact]
    public void A_disposed_window_cannot_be_read()
    {
        using var pairs = new ConnectedPairs(MemoryAccess.WindowBind);
        var window = MemoryWindow.Create(pairs.Domain);
        Bind(pairs, window, 0, 4096);
        var key = window.RemoteKey;
        Assert.Equal(WorkStatus.Success, Read(pairs, 0, 4096, key));

        window.Dispose();

        Assert.True(window.IsClosed);
        Assert.Equal(WorkStatus.RemoteAccessError, Read(pairs, 0, 4096, key));
    }

    [VerbsDeviceFact]
    public void A_region_without_the_right_to_windows_refuses_the_bind()
    {
        using var pairs = new ConnectedPairs();
        using var window = MemoryWindow.Create(pairs.Domain);

        Assert.True(pairs.Server.PostBind(BindId, window, pairs.Remote, (ulong)pairs.Remote.Address, 4096).IsComplete);

        Assert.NotEqual(WorkStatus.Success, Only(pairs.ServerCompletions).Status);
    }

    [VerbsDeviceFact]
    public void A_window_is_open_to_every_queue_pair_of_its_domain()
    {
        using var pairs = new ConnectedPairs(MemoryAccess.WindowBind);
        using var window = MemoryWindow.Create(pairs.Domain);
        var (reader, server) = pairs.Another();
        using (server)
        using (reader)
        {
            Bind(pairs, window, 0, 4096);

            Assert.True(reader.PostReads([pairs.Read(1, 0, 4096, window.RemoteKey)]).IsComplete);
            Assert.Equal((1UL, WorkStatus.Success), Only(pairs.ReaderCompletions));
            Assert.Equal(WorkStatus.Success, Read(pairs, 0, 4096, window.RemoteKey));
        }
    }

    private static void Bind(ConnectedPairs pairs, MemoryWindow window, int offset, int bytes)
    {
        var outcome = pairs.Server.PostBind(BindId, window, pairs.Remote, (ulong)(pairs.Remote.Address + offset), (ulong)bytes);
        Assert.Equal(new PostOutcome(1, 0), outcome);
        Assert.Equal((BindId, WorkStatus.Success), Only(pairs.ServerCompletions));
    }

    private static WorkStatus Read(ConnectedPairs pairs, int offset, int bytes, uint key)
    {
        Assert.True(pairs.Reader.PostReads([pairs.Read(1, offset, bytes, key)]).IsComplete);
        return Only(pairs.ReaderCompletions).Status;
    }

    private static (ulong Id, WorkStatus Status) Only(CompletionQueue queue)
    {
        var completion = Assert.Single(ConnectedPairs.Take(queue, 1));
        return (completion.Id, completion.Status);
    }
}
