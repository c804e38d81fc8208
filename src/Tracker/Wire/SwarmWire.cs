using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Store.Serialization;
using P2PWeights.Transfer;
using static P2PWeights.Tracker.Wire.WireValues;

namespace P2PWeights.Tracker.Wire;

/// <summary>What <see cref="SyncRequest"/> and <see cref="SyncResponse"/> say of single swarms, in MessagePack.</summary>
internal static class SwarmWire
{
    private static readonly FieldNames HoldingsFields = new("holdings", "manifest", "held");
    private static readonly FieldNames PullFields = new("pull", "manifest", "seen", "bytesDone", "bytesTotal", "path");
    private static readonly FieldNames SwarmFields = new("swarm", "manifest", "peers", "number", "neighbours");
    private static readonly FieldNames ScarceFields = new("scarce shards", "manifest", "shards");

    public static void WriteHoldings(ref MessagePackWriter writer, SwarmHoldings holdings)
    {
        writer.WriteMapHeader(HoldingsFields.Count);
        writer.Write("manifest");
        WriteDigest(ref writer, holdings.Manifest);
        writer.Write("held");
        writer.Write(holdings.Held.Span);
    }

    public static SwarmHoldings ReadHoldings(ref MessagePackReader reader)
    {
        var (manifest, held) = ReadBitmap(ref reader, HoldingsFields);
        return new SwarmHoldings(manifest, held);
    }

    public static void WritePull(ref MessagePackWriter writer, SwarmPull pull)
    {
        writer.WriteMapHeader(PullFields.Count);
        writer.Write("manifest");
        WriteDigest(ref writer, pull.Manifest);
        writer.Write("seen");
        writer.Write(pull.Seen);
        writer.Write("bytesDone");
        writer.Write(pull.BytesDone);
        writer.Write("bytesTotal");
        writer.Write(pull.BytesTotal);
        writer.Write("path");
        writer.Write(pull.Path);
    }

    public static SwarmPull ReadPull(ref MessagePackReader reader)
    {
        Digest manifest = default;
        long seen = 0, bytesDone = 0, bytesTotal = 0;
        var path = "";
        var fields = MapReader.Start(ref reader, PullFields);
        while (fields.Next(ref reader) is { } field)
        {
            switch (field)
            {
                case "manifest":
                    manifest = ReadDigest(ref reader);
                    break;
                case "seen":
                    seen = reader.ReadInt64();
                    break;
                case "bytesDone":
                    bytesDone = reader.ReadInt64();
                    break;
                case "bytesTotal":
                    bytesTotal = reader.ReadInt64();
                    break;
                case "path":
                    path = ReadText(ref reader);
                    break;
            }
        }

        return new SwarmPull(manifest, seen, bytesDone, bytesTotal, path);
    }

    public static void WriteSwarm(ref MessagePackWriter writer, SwarmView swarm)
    {
        writer.WriteMapHeader(SwarmFields.Count);
        writer.Write("manifest");
        WriteDigest(ref writer, swarm.Manifest);
        writer.Write("peers");
        writer.Write(swarm.Peers);
        writer.Write("number");
        writer.Write(swarm.Number);
        writer.Write("neighbours");
        if (swarm.Neighbours is { } neighbours)
        {
            WriteArray(ref writer, neighbours, PeerWire.Write);
        }
        else
        {
            writer.WriteNil();
        }
    }

    public static SwarmView ReadSwarm(ref MessagePackReader reader)
    {
        Digest manifest = default;
        var peers = 0;
        var number = 0L;
        ImmutableArray<PeerInfo>? neighbours = null;
        var fields = MapReader.Start(ref reader, SwarmFields);
        while (fields.Next(ref reader) is { } field)
        {
            switch (field)
            {
                case "manifest":
                    manifest = ReadDigest(ref reader);
                    break;
                case "peers":
                    peers = reader.ReadInt32();
                    break;
                case "number":
                    number = reader.ReadInt64();
                    break;
                case "neighbours":
                    // A peer is its id: whoever reads this may look peers up by it.
                    neighbours = reader.TryReadNil() ? null : [.. ReadArray(ref reader, PeerWire.Read).DistinctBy(peer => peer.Id)];
                    break;
            }
        }

        return new SwarmView(manifest, peers, number, neighbours);
    }

    public static void WriteScarce(ref MessagePackWriter writer, ScarceShards? scarce)
    {
        if (scarce is null)
        {
            writer.WriteNil();
            return;
        }

        writer.WriteMapHeader(ScarceFields.Count);
        writer.Write("manifest");
        WriteDigest(ref writer, scarce.Manifest);
        writer.Write("shards");
        writer.Write(scarce.Shards.Span);
    }

    public static ScarceShards? ReadScarce(ref MessagePackReader reader)
    {
        if (reader.TryReadNil())
        {
            return null;
        }

        var (manifest, shards) = ReadBitmap(ref reader, ScarceFields);
        return new ScarceShards(manifest, shards);
    }

    /// <summary>A map of a manifest and one bitmap of it.</summary>
    private static (Digest Manifest, ReadOnlyMemory<byte> Bits) ReadBitmap(ref MessagePackReader reader, FieldNames names)
    {
        Digest manifest = default;
        ReadOnlyMemory<byte> bits = default;
        var fields = MapReader.Start(ref reader, names);
        while (fields.Next(ref reader) is { } field)
        {
            if (field == "manifest")
            {
                manifest = ReadDigest(ref reader);
            }
            else
            {
                bits = ReadBytes(ref reader);
            }
        }

        return (manifest, bits);
    }
}
