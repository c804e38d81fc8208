using P2PWeights.Store.Content;
using P2PWeights.Store.Serialization;

namespace P2PWeights.Transfer.Wire;

/// <summary>Send me this shard, which has this size.</summary>
internal readonly record struct FetchMessage(ShardInfo Shard) : IFrameMessage<FetchMessage>
{
    public static FrameType Type => FrameType.Fetch;

    public static int Fields => 2;

    public void Write(ref MessagePackWriter writer)
    {
        FrameCodec.Write(ref writer, Shard.Digest);
        writer.Write(Shard.Size);
    }

    public static FetchMessage Read(ref MessagePackReader reader)
    {
        var digest = FrameCodec.ReadDigest(ref reader);
        return new FetchMessage(new ShardInfo(digest, FrameCodec.ReadInt32(ref reader, 1, WireLimits.MaxShardBytes, "the size of a shard")));
    }
}

/// <summary>No free upload slot.</summary>
/// <param name="RetryAfterMs">When to ask again, in milliseconds; readers take at most a minute.</param>
internal readonly record struct BusyMessage(int RetryAfterMs) : IFrameMessage<BusyMessage>
{
    private const int MaxRetryAfterMs = 60_000;

    public static FrameType Type => FrameType.Busy;

    public static int Fields => 1;

    public void Write(ref MessagePackWriter writer) => writer.Write(RetryAfterMs);

    public static BusyMessage Read(ref MessagePackReader reader) => new(FrameCodec.ReadInt32(ref reader, 0, MaxRetryAfterMs, "the time to wait"));
}
