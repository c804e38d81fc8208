using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Testing;
using P2PWeights.Transfer.Swarms;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests.Wire;

public sealed class MessageTests
{
    private readonly Seeded _seeded = new();

    [Fact]
    public void Fetch_read_back_is_equal()
    {
        var message = new FetchMessage(new ShardInfo(NewDigest(), 16 << 20));
        Assert.Equal(message, MessageFrame.RoundTrip(message));
    }

    [Fact]
    public void Hello_read_back_is_equal()
    {
        var message = new HelloMessage(Guid.NewGuid(), "trainer-7 ü", LaneKind.Data, true, ClusterProof.NewNonce());
        var read = MessageFrame.RoundTrip(message);
        Assert.Equal((message.Node, message.Name, message.Lane, message.Keyed), (read.Node, read.Name, read.Lane, read.Keyed));
        Assert.Equal(message.Nonce.ToArray(), read.Nonce.ToArray());
    }

    [Fact]
    public void Name_of_a_stranger_is_cut_and_loses_its_control_characters()
    {
        var read = MessageFrame.RoundTrip(new ErrorMessage(ErrorCode.NotAllowed, "\u001b[2Jgone\n" + new string('x', 5000)));
        Assert.StartsWith("?[2Jgone?xxx", read.Text, StringComparison.Ordinal);
        Assert.Equal(1000, read.Text.Length);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(64)]
    [InlineData(1000)]
    public void Bitmap_read_back_is_equal(int shards)
    {
        var held = new ShardBitmap(shards);
        for (var i = 0; i < shards; i += 3)
        {
            held[i] = true;
        }

        var read = MessageFrame.RoundTrip(new BitmapMessage(NewDigest(), held, IsPublisher: true)).Held;
        Assert.Equal(shards, read.Length);
        Assert.Equal(held.ToBytes(), read.ToBytes());
    }

    [Fact]
    public void Bitmap_with_bits_behind_its_last_shard_is_refused()
    {
        var frame = FrameCodec.Encode(0, new BitmapMessage(NewDigest(), new ShardBitmap(9), IsPublisher: false));
        frame[^1] = 0xff;
        Assert.Equal(TransferError.Protocol, Assert.Throws<TransferException>(() => FrameCodec.Decode<BitmapMessage>(frame.AsMemory(FrameHeader.Size))).Error);
    }

    [Fact]
    public void Have_read_back_is_equal()
    {
        var message = new HaveMessage(NewDigest(), [0, 5, 70000], [1]);
        var read = MessageFrame.RoundTrip(message);
        Assert.Equal(message.Manifest, read.Manifest);
        Assert.Equal(message.Gained.AsEnumerable(), read.Gained);
        Assert.Equal(message.Lost.AsEnumerable(), read.Lost);
    }

    [Fact]
    public void Message_with_a_field_of_a_later_version_is_read_without_it()
    {
        // An array of three with a string behind the two fields that this version knows.
        var frame = FrameCodec.Encode(0, new FetchMessage(new ShardInfo(NewDigest(), 5)));
        byte[] payload = [0x93, .. frame.AsSpan(FrameHeader.Size + 1), 0xa3, (byte)'n', (byte)'e', (byte)'w'];
        Assert.Equal(5, FrameCodec.Decode<FetchMessage>(payload).Shard.Size);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(int.MaxValue)]
    public void Fetch_of_an_impossible_size_is_refused(int size)
    {
        var frame = FrameCodec.Encode(0, new FetchMessage(new ShardInfo(NewDigest(), size)));
        Assert.Throws<TransferException>(() => FrameCodec.Decode<FetchMessage>(frame.AsMemory(FrameHeader.Size)));
    }

    [Fact]
    public void Frames_with_mutated_bytes_are_read_or_refused_within_bounded_memory()
    {
        byte[][] frames =
        [
            FrameCodec.Encode(1, new HelloMessage(Guid.NewGuid(), "name", LaneKind.Control, false, ClusterProof.NewNonce())),
            FrameCodec.Encode(2, new HelloAckMessage(Guid.NewGuid(), "name", ClusterProof.NewNonce(), default)),
            FrameCodec.Encode(3, new ProofMessage(new byte[ClusterProof.ProofBytes])),
            FrameCodec.Encode(4, new ErrorMessage(ErrorCode.Protocol, "why")),
            FrameCodec.Encode(5, new SubscribeMessage(NewDigest(), new ShardBitmap(77))),
            FrameCodec.Encode(6, new BitmapMessage(NewDigest(), new ShardBitmap(77), IsPublisher: true)),
            FrameCodec.Encode(7, new HaveMessage(NewDigest(), [1, 2, 300], [4])),
            FrameCodec.Encode(8, new FetchMessage(new ShardInfo(NewDigest(), 1 << 20))),
            FrameCodec.Encode(9, new BusyMessage(50)),
        ];
        const int Rounds = 120_000;
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
        var mutated = frame.ToArray();
        for (var flips = _seeded.Random.Next(1, 5); flips > 0; flips--)
        {
            mutated[_seeded.Random.Next(mutated.Length)] = (byte)_seeded.Random.Next(256);
        }

        if (!FrameHeader.TryRead(mutated, out var header, out _))
        {
            return;
        }

        var payload = mutated.AsMemory(FrameHeader.Size, _seeded.Random.Next(mutated.Length - FrameHeader.Size + 1));
        try
        {
            _ = header.Type switch
            {
                FrameType.Hello => FrameCodec.Decode<HelloMessage>(payload),
                FrameType.HelloAck => FrameCodec.Decode<HelloAckMessage>(payload),
                FrameType.Proof => FrameCodec.Decode<ProofMessage>(payload),
                FrameType.Error => FrameCodec.Decode<ErrorMessage>(payload),
                FrameType.Subscribe => FrameCodec.Decode<SubscribeMessage>(payload),
                FrameType.Unsubscribe => FrameCodec.Decode<UnsubscribeMessage>(payload),
                FrameType.Bitmap => FrameCodec.Decode<BitmapMessage>(payload),
                FrameType.Have => FrameCodec.Decode<HaveMessage>(payload),
                FrameType.Fetch => FrameCodec.Decode<FetchMessage>(payload),
                FrameType.Busy => FrameCodec.Decode<BusyMessage>(payload),
                _ => (object)header,
            };
        }
        catch (TransferException e)
        {
            Assert.True(e.Error == TransferError.Protocol, $"{e.Error}; {_seeded}");
        }
    }

    private Digest NewDigest() => new(_seeded.Bytes(Digest.Size));
}
