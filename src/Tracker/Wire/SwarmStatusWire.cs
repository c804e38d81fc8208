using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Store.Serialization;
using static P2PWeights.Tracker.Wire.WireValues;

namespace P2PWeights.Tracker.Wire;

/// <summary><see cref="SwarmStatus"/> in MessagePack.</summary>
internal static class SwarmStatusWire
{
    private static readonly FieldNames StatusFields = new(
        "swarm status", "checkpoint", "manifest", "bytes", "shards", "availableShards", "peers", "completePeers", "pullingPeers", "members");

    private static readonly FieldNames MemberFields = new(
        "swarm member", "id", "name", "shards", "pulling", "bytesDone", "bytesTotal", "bytesPerSecond", "path", "loadBytesPerSecond", "ageMs");

    public static void Write(ref MessagePackWriter writer, SwarmStatus status)
    {
        writer.WriteMapHeader(StatusFields.Count);
        writer.Write("checkpoint");
        writer.Write(status.Checkpoint);
        writer.Write("manifest");
        WriteDigest(ref writer, status.Manifest);
        writer.Write("bytes");
        writer.Write(status.Bytes);
        writer.Write("shards");
        writer.Write(status.Shards);
        writer.Write("availableShards");
        writer.Write(status.AvailableShards);
        writer.Write("peers");
        writer.Write(status.Peers);
        writer.Write("completePeers");
        writer.Write(status.CompletePeers);
        writer.Write("pullingPeers");
        writer.Write(status.PullingPeers);
        writer.Write("members");
        WriteArray(ref writer, status.Members, WriteMember);
    }

    public static SwarmStatus Read(ref MessagePackReader reader)
    {
        var checkpoint = "";
        Digest manifest = default;
        var bytes = 0L;
        int shards = 0, available = 0, peers = 0, complete = 0, pulling = 0;
        ImmutableArray<SwarmMember> members = [];
        var fields = MapReader.Start(ref reader, StatusFields);
        while (fields.Next(ref reader) is { } field)
        {
            switch (field)
            {
                case "checkpoint":
                    checkpoint = ReadText(ref reader);
                    break;
                case "manifest":
                    manifest = ReadDigest(ref reader);
                    break;
                case "bytes":
                    bytes = reader.ReadInt64();
                    break;
                case "shards":
                    shards = reader.ReadInt32();
                    break;
                case "availableShards":
                    available = reader.ReadInt32();
                    break;
                case "peers":
                    peers = reader.ReadInt32();
                    break;
                case "completePeers":
                    complete = reader.ReadInt32();
                    break;
                case "pullingPeers":
                    pulling = reader.ReadInt32();
                    break;
                case "members":
                    members = ReadArray(ref reader, ReadMember);
                    break;
            }
        }

        return new SwarmStatus(checkpoint, manifest, bytes, shards, available, peers, complete, pulling, members);
    }

    private static void WriteMember(ref MessagePackWriter writer, SwarmMember member)
    {
        writer.WriteMapHeader(MemberFields.Count);
        writer.Write("id");
        writer.Write(member.Id.ToString("D"));
        writer.Write("name");
        writer.Write(member.Name);
        writer.Write("shards");
        writer.Write(member.Shards);
        writer.Write("pulling");
        writer.Write(member.Pulling);
        writer.Write("bytesDone");
        writer.Write(member.BytesDone);
        writer.Write("bytesTotal");
        writer.Write(member.BytesTotal);
        writer.Write("bytesPerSecond");
        writer.Write(member.BytesPerSecond);
        writer.Write("path");
        writer.Write(member.Path);
        writer.Write("loadBytesPerSecond");
        writer.Write(member.LoadBytesPerSecond);
        writer.Write("ageMs");
        writer.Write(member.AgeMs);
    }

    private static SwarmMember ReadMember(ref MessagePackReader reader)
    {
        Guid id = default;
        string name = "", path = "";
        var shards = 0;
        var pulling = false;
        long bytesDone = 0, bytesTotal = 0, rate = 0, load = 0, age = 0;
        var fields = MapReader.Start(ref reader, MemberFields);
        while (fields.Next(ref reader) is { } field)
        {
            switch (field)
            {
                case "id":
                    id = PeerWire.ReadId(ref reader);
                    break;
                case "name":
                    name = ReadText(ref reader);
                    break;
                case "shards":
                    shards = reader.ReadInt32();
                    break;
                case "pulling":
                    pulling = reader.ReadBoolean();
                    break;
                case "bytesDone":
                    bytesDone = reader.ReadInt64();
                    break;
                case "bytesTotal":
                    bytesTotal = reader.ReadInt64();
                    break;
                case "bytesPerSecond":
                    rate = reader.ReadInt64();
                    break;
                case "path":
                    path = ReadText(ref reader);
                    break;
                case "loadBytesPerSecond":
                    load = reader.ReadInt64();
                    break;
                case "ageMs":
                    age = reader.ReadInt64();
                    break;
            }
        }

        return new SwarmMember(id, name, shards, pulling, bytesDone, bytesTotal, rate, path, load, age);
    }
}
