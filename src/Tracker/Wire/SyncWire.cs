using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Store.Serialization;
using P2PWeights.Transfer;
using static P2PWeights.Tracker.Wire.WireValues;

namespace P2PWeights.Tracker.Wire;

/// <summary><see cref="SyncRequest"/> and <see cref="SyncResponse"/> in MessagePack.</summary>
internal static class SyncWire
{
    private static readonly FieldNames RequestFields = new(
        "sync", "peer", "sequence", "full", "leaving", "gained", "lost", "swarms", "left", "pulls", "eventsAfter", "loadBytesPerSecond");

    private static readonly FieldNames ResponseFields = new("answer to a sync", "leaseMs", "gatherMs", "resync", "epoch", "swarms", "unknown", "scarce", "events");
    private static readonly FieldNames EventFields = new("catalog event", "number", "kind", "checkpoint", "manifest");

    public static void WriteRequest(ref MessagePackWriter writer, SyncRequest request)
    {
        writer.WriteMapHeader(RequestFields.Count);
        writer.Write("peer");
        PeerWire.Write(ref writer, request.Peer);
        writer.Write("sequence");
        writer.Write(request.Sequence);
        writer.Write("full");
        writer.Write(request.Full);
        writer.Write("leaving");
        writer.Write(request.Leaving);
        writer.Write("gained");
        WriteArray(ref writer, request.Gained, WriteDigest);
        writer.Write("lost");
        WriteArray(ref writer, request.Lost, WriteDigest);
        writer.Write("swarms");
        WriteArray(ref writer, request.Swarms, SwarmWire.WriteHoldings);
        writer.Write("left");
        WriteArray(ref writer, request.Left, WriteDigest);
        writer.Write("pulls");
        WriteArray(ref writer, request.Pulls, SwarmWire.WritePull);
        writer.Write("eventsAfter");
        writer.Write(request.EventsAfter);
        writer.Write("loadBytesPerSecond");
        writer.Write(request.LoadBytesPerSecond);
    }

    public static SyncRequest ReadRequest(ref MessagePackReader reader)
    {
        PeerInfo? peer = null;
        long sequence = 0, eventsAfter = 0, load = 0;
        bool full = false, leaving = false;
        ImmutableArray<Digest> gained = [], lost = [], left = [];
        ImmutableArray<SwarmHoldings> swarms = [];
        ImmutableArray<SwarmPull> pulls = [];
        var fields = MapReader.Start(ref reader, RequestFields);
        while (fields.Next(ref reader) is { } field)
        {
            switch (field)
            {
                case "peer":
                    peer = PeerWire.Read(ref reader);
                    break;
                case "sequence":
                    sequence = reader.ReadInt64();
                    break;
                case "full":
                    full = reader.ReadBoolean();
                    break;
                case "leaving":
                    leaving = reader.ReadBoolean();
                    break;
                case "gained":
                    gained = ReadArray(ref reader, ReadDigest);
                    break;
                case "lost":
                    lost = ReadArray(ref reader, ReadDigest);
                    break;
                case "swarms":
                    swarms = ReadArray(ref reader, SwarmWire.ReadHoldings);
                    break;
                case "left":
                    left = ReadArray(ref reader, ReadDigest);
                    break;
                case "pulls":
                    pulls = ReadArray(ref reader, SwarmWire.ReadPull);
                    break;
                case "eventsAfter":
                    eventsAfter = reader.ReadInt64();
                    break;
                case "loadBytesPerSecond":
                    load = reader.ReadInt64();
                    break;
            }
        }

        return new SyncRequest(peer!, sequence, full, leaving, gained, lost, swarms, left, pulls, eventsAfter, load);
    }

    public static void WriteResponse(ref MessagePackWriter writer, SyncResponse response)
    {
        writer.WriteMapHeader(ResponseFields.Count);
        writer.Write("leaseMs");
        writer.Write(response.LeaseMs);
        writer.Write("gatherMs");
        writer.Write(response.GatherMs);
        writer.Write("resync");
        writer.Write(response.Resync);
        writer.Write("epoch");
        writer.Write(response.Epoch);
        writer.Write("swarms");
        WriteArray(ref writer, response.Swarms, SwarmWire.WriteSwarm);
        writer.Write("unknown");
        WriteArray(ref writer, response.Unknown, WriteDigest);
        writer.Write("scarce");
        SwarmWire.WriteScarce(ref writer, response.Scarce);
        writer.Write("events");
        WriteArray(ref writer, response.Events, WriteEvent);
    }

    public static SyncResponse ReadResponse(ref MessagePackReader reader)
    {
        int leaseMs = 0, gatherMs = 0;
        var resync = false;
        var epoch = 0L;
        ImmutableArray<SwarmView> swarms = [];
        ImmutableArray<Digest> unknown = [];
        ScarceShards? scarce = null;
        ImmutableArray<CatalogEvent> events = [];
        var fields = MapReader.Start(ref reader, ResponseFields);
        while (fields.Next(ref reader) is { } field)
        {
            switch (field)
            {
                case "leaseMs":
                    leaseMs = reader.ReadInt32();
                    break;
                case "gatherMs":
                    gatherMs = reader.ReadInt32();
                    break;
                case "resync":
                    resync = reader.ReadBoolean();
                    break;
                case "epoch":
                    epoch = reader.ReadInt64();
                    break;
                case "swarms":
                    swarms = ReadArray(ref reader, SwarmWire.ReadSwarm);
                    break;
                case "unknown":
                    unknown = ReadArray(ref reader, ReadDigest);
                    break;
                case "scarce":
                    scarce = SwarmWire.ReadScarce(ref reader);
                    break;
                case "events":
                    events = ReadArray(ref reader, ReadEvent);
                    break;
            }
        }

        return new SyncResponse(leaseMs, gatherMs, resync, epoch, swarms, unknown, scarce, events);
    }

    private static void WriteEvent(ref MessagePackWriter writer, CatalogEvent happened)
    {
        writer.WriteMapHeader(EventFields.Count);
        writer.Write("number");
        writer.Write(happened.Number);
        writer.Write("kind");
        writer.Write(happened.Kind);
        writer.Write("checkpoint");
        writer.Write(happened.Checkpoint);
        writer.Write("manifest");
        WriteDigest(ref writer, happened.Manifest);
    }

    private static CatalogEvent ReadEvent(ref MessagePackReader reader)
    {
        var number = 0L;
        string kind = "", checkpoint = "";
        Digest manifest = default;
        var fields = MapReader.Start(ref reader, EventFields);
        while (fields.Next(ref reader) is { } field)
        {
            switch (field)
            {
                case "number":
                    number = reader.ReadInt64();
                    break;
                case "kind":
                    kind = ReadText(ref reader);
                    break;
                case "checkpoint":
                    checkpoint = ReadText(ref reader);
                    break;
                case "manifest":
                    manifest = ReadDigest(ref reader);
                    break;
            }
        }

        return new CatalogEvent(number, kind, checkpoint, manifest);
    }
}
