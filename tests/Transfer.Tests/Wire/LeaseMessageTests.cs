using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Testing;
using P2PWeights.Transfer.Leasing;
using P2PWeights.Transfer.Tests.Leasing;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests.Wire;

public sealed class LeaseMessageTests
{
    private static readonly FileLocation Place =
        new(Tiers.Reference, "/data/ü/weights.bin", new FileIdentity(ulong.MaxValue, 7, 1L << 40, -5), 1L << 39, IsUnfinished: true);

    private readonly Seeded _seeded = new();

    [Fact]
    public void Locate_and_its_answers_read_back_are_equal()
    {
        var locate = new LocateMessage(new ShardInfo(new Digest(_seeded.Bytes(Digest.Size)), 5), LeaseKind.Memory);
        Assert.Equal(locate, MessageFrame.RoundTrip(locate));
        var file = new LocatedFileMessage(ulong.MaxValue, 10_000, Place);
        Assert.Equal(file, MessageFrame.RoundTrip(file));
        RemoteKey[] keys = [.. Enumerable.Range(0, WireLimits.MaxQueueDevices).Select(i => new RemoteKey(i, ulong.MaxValue - (ulong)i, uint.MaxValue))];
        Assert.Equal(keys, MessageFrame.RoundTrip(new LocatedMemoryMessage(3, 1, new MemoryLocation(keys))).Location.Keys);
        var gpu = new LocatedGpuMessage(ulong.MaxValue, 10_000, new GpuLocation(GpuMemory.MaxGpus - 1, long.MaxValue));
        Assert.Equal(gpu, MessageFrame.RoundTrip(gpu));
        Assert.Throws<TransferException>(() => MessageFrame.RoundTrip(gpu with { Location = new GpuLocation(GpuMemory.MaxGpus, 0) }));
        Assert.Throws<TransferException>(() => MessageFrame.RoundTrip(gpu with { Location = new GpuLocation(-1, 0) }));
        Assert.Throws<TransferException>(() => MessageFrame.RoundTrip(gpu with { Location = new GpuLocation(0, -1) }));
        Assert.Equal("no?room", MessageFrame.RoundTrip(new LocateRefusedMessage("no\nroom")).Reason);
        Assert.Equal(new RenewedMessage(60_000, true), MessageFrame.RoundTrip(new RenewedMessage(60_000, true)));
    }

    [Fact]
    public void Longest_messages_fit_their_frames()
    {
        ulong[] leases = [.. Enumerable.Repeat(ulong.MaxValue, WireLimits.MaxReleases)];
        Assert.Equal(leases, MessageFrame.RoundTrip(new ReleaseMessage([.. leases])).Leases);
        var path = "/" + new string('\uffee', 4095);
        Assert.Equal(path, MessageFrame.RoundTrip(new LocatedFileMessage(1, 1, Place with { Path = path })).Location.Path);
        Assert.Equal(500, MessageFrame.RoundTrip(new LocateRefusedMessage(new string('\uffee', 9999))).Reason.Length);
        var queue = new QueueEnd(0xffffff, 0xffffff);
        var device = new QueueDevice(0, QueueLink.InfiniBand, _seeded.Bytes(16), ushort.MaxValue, 4096, 255, 255, [.. Enumerable.Repeat(queue, WireLimits.MaxQueuesPerDevice)]);
        var all = MessageFrame.RoundTrip(new ConnectQueuesMessage([.. Enumerable.Range(0, WireLimits.MaxQueueDevices).Select(i => device with { Index = i })])).Devices;
        Assert.Equal(WireLimits.MaxQueueDevices, all.Length);
        Assert.Equal((15, QueueLink.InfiniBand, 65535, 4096, 255, 255), (all[15].Index, all[15].Link, all[15].Lid, all[15].MtuBytes, all[15].MaxReadsOut, all[15].MaxReadsIn));
        Assert.Equal(device.Gid.ToArray(), all[15].Gid.ToArray());
        Assert.All(all[15].Queues, end => Assert.Equal(queue, end));
    }

    [Fact]
    public void Host_proof_reads_back_equal_and_has_a_proof_only_with_a_path()
    {
        var proof = MessageFrame.RoundTrip(new HostProofMessage("/dev/shm/p2pweights-1/arena", _seeded.Bytes(HostProof.ProofBytes)));
        Assert.Equal(("/dev/shm/p2pweights-1/arena", 32), (proof.ArenaPath, proof.Proof.Length));
        Assert.Equal("", MessageFrame.RoundTrip(new HostProofMessage("", default)).ArenaPath);
        Assert.Throws<TransferException>(() => MessageFrame.RoundTrip(new HostProofMessage("", new byte[32])));
        Assert.Throws<TransferException>(() => MessageFrame.RoundTrip(new HostProofMessage("/arena", default)));
        Assert.Throws<TransferException>(() => MessageFrame.RoundTrip(new HostProofMessage("/are\0na", new byte[32])));
    }

    [Theory]
    [InlineData(1 << 24, 0, 4096)]
    [InlineData(0, 1 << 24, 4096)]
    [InlineData(1, 1, 1500)]
    public void Queue_pair_with_a_number_that_cannot_be_is_refused(int number, int psn, int mtu)
    {
        var device = FakeQueues.Device(0, 1) with { MtuBytes = mtu, Queues = [new QueueEnd((uint)number, (uint)psn)] };
        Assert.Throws<TransferException>(() => MessageFrame.RoundTrip(new ConnectQueuesMessage([device])));
    }

    [Fact]
    public void Counts_are_refused_before_anything_is_allocated_for_them()
    {
        // An array of one field: an array that says it has 4 billion elements, and none of them.
        byte[] payload = [0x91, 0xdd, 0xff, 0xff, 0xff, 0xff];
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<TransferException>(() => FrameCodec.Decode<ReleaseMessage>(payload));
        Assert.Throws<TransferException>(() => FrameCodec.Decode<ConnectQueuesMessage>(payload));
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 64 << 10);
    }

    [Fact]
    public void Fields_of_a_later_version_are_passed_over_also_inside()
    {
        var frame = FrameCodec.Encode(0, new LocatedMemoryMessage(1, 2, new MemoryLocation([new RemoteKey(3, 4, 5)])));
        byte[] payload = frame[FrameHeader.Size..];

        // fixarray 3: 1, 2, [[3, 4, 5]] becomes fixarray 3: 1, 2, [[3, 4, 5, nil]].
        Assert.Equal([0x93, 1, 2, 0x91, 0x93, 3, 4, 5], payload);
        var read = FrameCodec.Decode<LocatedMemoryMessage>((byte[])[0x93, 1, 2, 0x91, 0x94, 3, 4, 5, 0xc0]);
        Assert.Equal(new RemoteKey(3, 4, 5), Assert.Single(read.Location.Keys));
    }

    [Fact]
    public void Frames_with_mutated_bytes_are_read_or_refused_within_bounded_memory()
    {
        byte[][] frames =
        [
            FrameCodec.Encode(1, new LocateMessage(new ShardInfo(new Digest(_seeded.Bytes(Digest.Size)), 5), LeaseKind.File)),
            FrameCodec.Encode(2, new LocatedFileMessage(1, 10_000, Place)),
            FrameCodec.Encode(3, new LocatedMemoryMessage(1, 10_000, new MemoryLocation([new RemoteKey(0, 4096, 7), new RemoteKey(1, 8192, 8)]))),
            FrameCodec.Encode(4, new LocateRefusedMessage("why")),
            FrameCodec.Encode(5, new ReleaseMessage([1, 200, 70_000])),
            FrameCodec.Encode(6, new RenewedMessage(10_000, true)),
            FrameCodec.Encode(7, new ProveHostMessage(HostProof.NewChallenge())),
            FrameCodec.Encode(8, new HostProofMessage("/arena", new byte[32])),
            FrameCodec.Encode(9, FakeQueues.Offer()),
            FrameCodec.Encode(10, new QueuesConnectedMessage(FakeQueues.Offer().Devices)),
            FrameCodec.Encode(11, new QueuesRefusedMessage("why")),
        ];
        const int Rounds = 100_000;
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var round = 0; round < Rounds; round++)
        {
            Mutate(frames[_seeded.Random.Next(frames.Length)]);
        }

        var perFrame = (GC.GetAllocatedBytesForCurrentThread() - before) / Rounds;
        Assert.True(perFrame < 8 << 10, $"{perFrame} bytes allocated per frame; {_seeded}");
    }

    private void Mutate(byte[] frame)
    {
        var type = (FrameType)frame[5];
        var payload = frame[FrameHeader.Size..];
        for (var flips = _seeded.Random.Next(1, 5); flips > 0; flips--)
        {
            payload[_seeded.Random.Next(payload.Length)] = (byte)_seeded.Random.Next(256);
        }

        var cut = payload.AsMemory(0, _seeded.Random.Next(4) == 0 ? _seeded.Random.Next(payload.Length) : payload.Length);
        try
        {
            _ = type switch
            {
                FrameType.Locate => FrameCodec.Decode<LocateMessage>(cut),
                FrameType.LocatedFile => FrameCodec.Decode<LocatedFileMessage>(cut),
                FrameType.LocatedMemory => FrameCodec.Decode<LocatedMemoryMessage>(cut),
                FrameType.LocateRefused => FrameCodec.Decode<LocateRefusedMessage>(cut),
                FrameType.Release => FrameCodec.Decode<ReleaseMessage>(cut),
                FrameType.Renewed => FrameCodec.Decode<RenewedMessage>(cut),
                FrameType.ProveHost => FrameCodec.Decode<ProveHostMessage>(cut),
                FrameType.HostProof => FrameCodec.Decode<HostProofMessage>(cut),
                FrameType.ConnectQueues => FrameCodec.Decode<ConnectQueuesMessage>(cut),
                FrameType.QueuesConnected => FrameCodec.Decode<QueuesConnectedMessage>(cut),
                _ => (object)FrameCodec.Decode<QueuesRefusedMessage>(cut),
            };
        }
        catch (TransferException e)
        {
            Assert.True(e.Error == TransferError.Protocol, $"{e.Error}; {_seeded}");
        }
    }
}
