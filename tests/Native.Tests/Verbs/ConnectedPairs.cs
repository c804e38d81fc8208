using System.Diagnostics;
using P2PWeights.Native.Posix;
using P2PWeights.Native.Verbs;
using P2PWeights.Testing;

namespace P2PWeights.Native.Tests.Verbs;

/// <summary>
/// Two queue pairs of one device, connected to each other: the reader's half writes into <see cref="Local"/>, the server's half gives out parts of <see cref="Remote"/>.
/// Each half has a completion queue of its own, and both share a domain, as they never would between two nodes; nothing here depends on it.
/// </summary>
internal sealed unsafe class ConnectedPairs : IDisposable
{
    public const int MiB = 1 << 20;
    public const int Length = 2 * MiB;

    // Emulated machines are slow, and a lost packet costs its retries.
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private readonly MemoryMapping _localMemory = MemoryMapping.CreateAnonymous(Length);
    private readonly MemoryMapping _remoteMemory = MemoryMapping.CreateAnonymous(Length);

    public ConnectedPairs(MemoryAccess remoteAccess = MemoryAccess.RemoteRead, int depth = 64, int? completions = null)
    {
        var inventory = DeviceInventory.Read();
        Use = DeviceRanking.Of(inventory, new(), NumaDistances.Read()).Usable[0];
        Device = VerbsDevice.Open(Use.Device.Name);
        Domain = ProtectionDomain.Create(Device);
        ReaderCompletions = CompletionQueue.Create(Device, completions ?? 2 * depth);
        ServerCompletions = CompletionQueue.Create(Device, 2 * depth);
        Data = Seed.Bytes(Length);
        Data.CopyTo(new Span<byte>(_remoteMemory.Address, Length));
        Local = MemoryRegion.Register(Domain, (nint)_localMemory.Address, Length, MemoryAccess.LocalWrite | MemoryAccess.RelaxedOrdering, _localMemory);
        Remote = MemoryRegion.Register(Domain, (nint)_remoteMemory.Address, Length, MemoryAccess.LocalWrite | remoteAccess, _remoteMemory);
        Depth = depth;
        (Reader, Server) = Another();
    }

    /// <summary>Requests that each queue pair was asked to hold.</summary>
    public int Depth { get; }

    public Seeded Seed { get; } = new();

    public UsablePort Use { get; }

    public VerbsDevice Device { get; }

    public ProtectionDomain Domain { get; }

    public CompletionQueue ReaderCompletions { get; }

    public CompletionQueue ServerCompletions { get; }

    public MemoryRegion Local { get; }

    public MemoryRegion Remote { get; }

    public QueuePair Reader { get; }

    public QueuePair Server { get; }

    /// <summary>What the remote memory holds.</summary>
    public byte[] Data { get; }

    public ReadOnlySpan<byte> Received => new(_localMemory.Address, Length);

    /// <summary>Two more queue pairs, connected to each other, with the same completion queues; the caller's own.</summary>
    public (QueuePair Reader, QueuePair Server) Another()
    {
        var (reader, server) = (Unconnected(ReaderCompletions, remoteRead: false), Unconnected(ServerCompletions, remoteRead: true));
        Connect(reader, server, 0x123456, 0xabcdef);
        Connect(server, reader, 0xabcdef, 0x123456);
        return (reader, server);
    }

    public QueuePair Unconnected(CompletionQueue completions, bool remoteRead) =>
        QueuePair.Create(Domain, completions, new() { Port = Use.Port.Number, Depth = Depth, RemoteRead = remoteRead });

    public void Connect(QueuePair own, QueuePair other, uint sequence, uint otherSequence) => own.Connect(new()
    {
        RemoteNumber = other.Number,
        RemoteSequence = otherSequence,
        LocalSequence = sequence,
        RemoteGid = Use.Gid.Gid,
        RemoteLid = Use.Port.Attributes.Lid,
        GidIndex = Use.Gid.Index,
        Mtu = Use.Port.Attributes.ActiveMtu,
        ReadsOut = Math.Min(16, Use.Device.Attributes.MaxReadsOut),
        ReadsIn = Math.Min(16, Use.Device.Attributes.MaxReadsIn),
    });

    public ReadRequest Read(ulong id, int offset, int bytes, uint key, bool signalled = true) =>
        new(id, Local.Address + offset, Local.LocalKey, (ulong)(Remote.Address + offset), key, (uint)bytes, signalled);

    /// <summary>Takes so many completions, asleep on the channel while there are none.</summary>
    public static List<WorkCompletion> Take(CompletionQueue queue, int count)
    {
        List<WorkCompletion> taken = [];
        var buffer = new WorkCompletion[8];
        var watch = Stopwatch.StartNew();
        while (taken.Count < count)
        {
            Assert.True(watch.Elapsed < Deadline, $"{taken.Count} of {count} completions after {Deadline}");
            if (Drain() == 0)
            {
                queue.Arm();
                if (Drain() == 0)
                    queue.WaitForEvent(Deadline - watch.Elapsed);
            }
        }

        Assert.Equal(count, taken.Count);
        return taken;

        int Drain()
        {
            var polled = queue.Poll(buffer);
            taken.AddRange(buffer.AsSpan(0, polled));
            return polled;
        }
    }

    public void Dispose()
    {
        // From the outside in, although the handles would put any order right.
        Server.Dispose();
        Reader.Dispose();
        Remote.Dispose();
        Local.Dispose();
        ServerCompletions.Dispose();
        ReaderCompletions.Dispose();
        Domain.Dispose();
        Device.Dispose();
        _localMemory.Dispose();
        _remoteMemory.Dispose();
    }
}
