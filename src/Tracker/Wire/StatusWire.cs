using System.Globalization;
using P2PWeights.Store.Serialization;
using static P2PWeights.Tracker.Wire.WireValues;

namespace P2PWeights.Tracker.Wire;

/// <summary><see cref="TrackerStatus"/> and <see cref="ErrorBody"/> in MessagePack.</summary>
internal static class StatusWire
{
    private static readonly FieldNames StatusFields = new(
        "status", "version", "epoch", "uptime", "checkpoints", "staged", "peers", "distinctShards", "syncs");

    private static readonly FieldNames ErrorFields = new("error", "error", "message");

    public static void Write(ref MessagePackWriter writer, TrackerStatus status)
    {
        writer.WriteMapHeader(StatusFields.Count);
        writer.Write("version");
        writer.Write(status.Version);
        writer.Write("epoch");
        writer.Write(status.Epoch);
        writer.Write("uptime");
        writer.Write(status.Uptime.ToString("c", CultureInfo.InvariantCulture));
        writer.Write("checkpoints");
        writer.Write(status.Checkpoints);
        writer.Write("staged");
        writer.Write(status.Staged);
        writer.Write("peers");
        writer.Write(status.Peers);
        writer.Write("distinctShards");
        writer.Write(status.DistinctShards);
        writer.Write("syncs");
        writer.Write(status.Syncs);
    }

    public static TrackerStatus Read(ref MessagePackReader reader)
    {
        var version = "";
        long epoch = 0, syncs = 0;
        TimeSpan uptime = default;
        int checkpoints = 0, staged = 0, peers = 0, shards = 0;
        var fields = MapReader.Start(ref reader, StatusFields);
        while (fields.Next(ref reader) is { } field)
        {
            switch (field)
            {
                case "version":
                    version = ReadText(ref reader);
                    break;
                case "epoch":
                    epoch = reader.ReadInt64();
                    break;
                case "uptime":
                    uptime = TimeSpan.TryParseExact(ReadText(ref reader), "c", CultureInfo.InvariantCulture, out var time)
                        ? time
                        : throw new MessagePackSerializationException("the uptime is not a duration");
                    break;
                case "checkpoints":
                    checkpoints = reader.ReadInt32();
                    break;
                case "staged":
                    staged = reader.ReadInt32();
                    break;
                case "peers":
                    peers = reader.ReadInt32();
                    break;
                case "distinctShards":
                    shards = reader.ReadInt32();
                    break;
                case "syncs":
                    syncs = reader.ReadInt64();
                    break;
            }
        }

        return new TrackerStatus(version, epoch, uptime, checkpoints, staged, peers, shards, syncs);
    }

    public static void WriteError(ref MessagePackWriter writer, ErrorBody error)
    {
        writer.WriteMapHeader(ErrorFields.Count);
        writer.Write("error");
        writer.Write(error.Error);
        writer.Write("message");
        writer.Write(error.Message);
    }

    public static ErrorBody ReadError(ref MessagePackReader reader)
    {
        string error = "", message = "";
        var fields = MapReader.Start(ref reader, ErrorFields);
        while (fields.Next(ref reader) is { } field)
        {
            if (field == "error")
            {
                error = ReadText(ref reader);
            }
            else
            {
                message = ReadText(ref reader);
            }
        }

        return new ErrorBody(error, message);
    }
}
