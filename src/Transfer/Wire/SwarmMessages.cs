using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Store.Serialization;
using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Wire;

/// <summary>Tell me which shards of this manifest you hold.</summary>
/// <param name="Manifest">The manifest.</param>
/// <param name="Held">What the caller holds itself, and so does not want.</param>
internal sealed record SubscribeMessage(Digest Manifest, ShardBitmap Held) : IFrameMessage<SubscribeMessage>
{
    public static FrameType Type => FrameType.Subscribe;

    public static int Fields => 3;

    public void Write(ref MessagePackWriter writer)
    {
        FrameCodec.Write(ref writer, Manifest);
        BitmapFields.Write(ref writer, Held);
    }

    public static SubscribeMessage Read(ref MessagePackReader reader) => new(FrameCodec.ReadDigest(ref reader), BitmapFields.Read(ref reader));
}

/// <summary>No more about this manifest.</summary>
internal sealed record UnsubscribeMessage(Digest Manifest) : IFrameMessage<UnsubscribeMessage>
{
    public static FrameType Type => FrameType.Unsubscribe;

    public static int Fields => 1;

    public void Write(ref MessagePackWriter writer) => FrameCodec.Write(ref writer, Manifest);

    public static UnsubscribeMessage Read(ref MessagePackReader reader) => new(FrameCodec.ReadDigest(ref reader));
}

/// <summary>All shards held of a manifest.</summary>
/// <param name="Manifest">The manifest.</param>
/// <param name="Held">One bit per ordinal; of length 0 while the sender does not know the manifest.</param>
/// <param name="IsPublisher">The sender published the manifest: it is asked only for what nobody else brings.</param>
internal sealed record BitmapMessage(Digest Manifest, ShardBitmap Held, bool IsPublisher) : IFrameMessage<BitmapMessage>
{
    public static FrameType Type => FrameType.Bitmap;

    public static int Fields => 4;

    public void Write(ref MessagePackWriter writer)
    {
        FrameCodec.Write(ref writer, Manifest);
        BitmapFields.Write(ref writer, Held);
        writer.Write(IsPublisher);
    }

    public static BitmapMessage Read(ref MessagePackReader reader) =>
        new(FrameCodec.ReadDigest(ref reader), BitmapFields.Read(ref reader), reader.ReadBoolean());
}

/// <summary>What changed since the last bitmap or Have of this manifest.</summary>
internal sealed record HaveMessage(Digest Manifest, ImmutableArray<int> Gained, ImmutableArray<int> Lost) : IFrameMessage<HaveMessage>
{
    public static FrameType Type => FrameType.Have;

    public static int Fields => 3;

    public void Write(ref MessagePackWriter writer)
    {
        FrameCodec.Write(ref writer, Manifest);
        WriteOrdinals(ref writer, Gained);
        WriteOrdinals(ref writer, Lost);
    }

    public static HaveMessage Read(ref MessagePackReader reader) =>
        new(FrameCodec.ReadDigest(ref reader), ReadOrdinals(ref reader), ReadOrdinals(ref reader));

    private static void WriteOrdinals(ref MessagePackWriter writer, ImmutableArray<int> ordinals)
    {
        writer.WriteArrayHeader(ordinals.Length);
        foreach (var ordinal in ordinals)
        {
            writer.Write(ordinal);
        }
    }

    private static ImmutableArray<int> ReadOrdinals(ref MessagePackReader reader)
    {
        // The reader believes a count only up to its limit and to the bytes that are there, so this allocates at most four bytes per byte received.
        var ordinals = ImmutableArray.CreateBuilder<int>(reader.ReadArrayHeader());
        for (var i = 0; i < ordinals.Capacity; i++)
        {
            ordinals.Add(FrameCodec.ReadInt32(ref reader, 0, WireLimits.MaxShards - 1, "an ordinal"));
        }

        return ordinals.MoveToImmutable();
    }
}

/// <summary>A bitmap as it stands in messages: how many shards, then their bits.</summary>
file static class BitmapFields
{
    public static void Write(ref MessagePackWriter writer, ShardBitmap bitmap)
    {
        writer.Write(bitmap.Length);
        writer.Write(bitmap.ToBytes());
    }

    public static ShardBitmap Read(ref MessagePackReader reader)
    {
        var shards = FrameCodec.ReadInt32(ref reader, 0, WireLimits.MaxShards, "the number of shards");
        var bytes = FrameCodec.ReadExact(ref reader, ShardBitmap.BytesFor(shards), "the bitmap");
        return ShardBitmap.TryFromBytes(bytes, shards, out var bitmap) ? bitmap : throw FrameCodec.Violation("the bitmap has bits behind its last shard");
    }
}
