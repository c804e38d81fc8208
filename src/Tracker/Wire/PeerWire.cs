using System.Collections.Immutable;
using P2PWeights.Store.Serialization;
using P2PWeights.Transfer;
using static P2PWeights.Tracker.Wire.WireValues;

namespace P2PWeights.Tracker.Wire;

/// <summary><see cref="PeerInfo"/> and <see cref="TrackedPeer"/> in MessagePack.</summary>
internal static class PeerWire
{
    private static readonly FieldNames PeerFields = new("peer", "id", "name", "endpoints", "hostId", "labels", "passing");
    private static readonly FieldNames TrackedFields = new("tracked peer", "peer", "shards", "swarms", "ageMs", "loadBytesPerSecond");

    public static void Write(ref MessagePackWriter writer, PeerInfo peer)
    {
        writer.WriteMapHeader(PeerFields.Count);
        writer.Write("id");
        writer.Write(peer.Id.ToString("D"));
        writer.Write("name");
        writer.Write(peer.Name);
        writer.Write("endpoints");
        WriteArray(ref writer, peer.Endpoints, WriteText);
        writer.Write("hostId");
        writer.Write(peer.HostId);
        writer.Write("labels");
        writer.WriteMapHeader(peer.Labels.Count);
        foreach (var (key, value) in peer.Labels)
        {
            writer.Write(key);
            writer.Write(value);
        }

        writer.Write("passing");
        writer.Write(peer.Passing);
    }

    public static PeerInfo Read(ref MessagePackReader reader)
    {
        Guid id = default;
        string name = "", hostId = "";
        ImmutableArray<string> endpoints = [];
        var labels = ImmutableSortedDictionary<string, string>.Empty;
        var passing = false;
        var fields = MapReader.Start(ref reader, PeerFields);
        while (fields.Next(ref reader) is { } field)
        {
            switch (field)
            {
                case "id":
                    id = ReadId(ref reader);
                    break;
                case "name":
                    name = ReadText(ref reader);
                    break;
                case "endpoints":
                    endpoints = ReadArray(ref reader, ReadText);
                    break;
                case "hostId":
                    hostId = ReadText(ref reader);
                    break;
                case "labels":
                    labels = ReadLabels(ref reader);
                    break;
                case "passing":
                    passing = reader.ReadBoolean();
                    break;
            }
        }

        return new PeerInfo(id, name, endpoints, hostId, labels, passing);
    }

    public static Guid ReadId(ref MessagePackReader reader) =>
        Guid.TryParseExact(ReadText(ref reader), "D", out var id) ? id : throw new MessagePackSerializationException("the id of a peer is not a UUID");

    public static void WriteTracked(ref MessagePackWriter writer, TrackedPeer tracked)
    {
        writer.WriteMapHeader(TrackedFields.Count);
        writer.Write("peer");
        Write(ref writer, tracked.Peer);
        writer.Write("shards");
        writer.Write(tracked.Shards);
        writer.Write("swarms");
        writer.Write(tracked.Swarms);
        writer.Write("ageMs");
        writer.Write(tracked.AgeMs);
        writer.Write("loadBytesPerSecond");
        writer.Write(tracked.LoadBytesPerSecond);
    }

    public static TrackedPeer ReadTracked(ref MessagePackReader reader)
    {
        PeerInfo? peer = null;
        int shards = 0, swarms = 0;
        long ageMs = 0, load = 0;
        var fields = MapReader.Start(ref reader, TrackedFields);
        while (fields.Next(ref reader) is { } field)
        {
            switch (field)
            {
                case "peer":
                    peer = Read(ref reader);
                    break;
                case "shards":
                    shards = reader.ReadInt32();
                    break;
                case "swarms":
                    swarms = reader.ReadInt32();
                    break;
                case "ageMs":
                    ageMs = reader.ReadInt64();
                    break;
                case "loadBytesPerSecond":
                    load = reader.ReadInt64();
                    break;
            }
        }

        return new TrackedPeer(peer!, shards, swarms, ageMs, load);
    }

    private static ImmutableSortedDictionary<string, string> ReadLabels(ref MessagePackReader reader)
    {
        var labels = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        for (var left = reader.ReadMapHeader(); left > 0; left--)
        {
            labels[ReadText(ref reader)] = ReadText(ref reader);
        }

        return labels.ToImmutable();
    }
}
