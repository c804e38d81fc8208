using P2PWeights.Store.Serialization;

namespace P2PWeights.Transfer.Wire;

/// <summary>Fields that several messages of a lease lane have, read within their bounds.</summary>
internal static class LeaseFields
{
    private const int MaxReasonLength = 500;

    /// <summary>PATH_MAX of linux/limits.h.</summary>
    private const int MaxPathLength = 4096;

    public static int ReadMilliseconds(ref MessagePackReader reader) =>
        FrameCodec.ReadInt32(ref reader, 1, (int)WireLimits.MaxLeaseTime.TotalMilliseconds, "the time of a lease");

    public static int ReadDevice(ref MessagePackReader reader) => FrameCodec.ReadInt32(ref reader, 0, WireLimits.MaxQueueDevices - 1, "the number of a device");

    /// <summary>The length of an array, within bounds, so that it may be allocated.</summary>
    public static int ReadCount(ref MessagePackReader reader, int min, int max, string what)
    {
        var count = reader.ReadArrayHeader();
        return count >= min && count <= max ? count : throw FrameCodec.Violation($"{count} {what} are not between {min} and {max}");
    }

    /// <summary>Starts an array inside a message. Returns how many fields follow the known ones.</summary>
    public static int BeginTuple(ref MessagePackReader reader, int fields, string what)
    {
        var count = reader.ReadArrayHeader();
        return count >= fields ? count - fields : throw FrameCodec.Violation($"{what} has {count} fields instead of {fields}");
    }

    /// <summary>Passes over the fields of a later version.</summary>
    public static void EndTuple(ref MessagePackReader reader, int rest)
    {
        for (; rest > 0; rest--)
        {
            reader.Skip();
        }
    }

    /// <summary>Refuses a device that is named twice.</summary>
    public static void RequireDistinct(IEnumerable<int> devices)
    {
        var seen = 0u;
        foreach (var device in devices)
        {
            if ((seen & (1u << device)) != 0)
            {
                throw FrameCodec.Violation($"device {device} is named twice");
            }

            seen |= 1u << device;
        }
    }

    /// <summary>A full path, or empty text.</summary>
    public static string ReadPath(ref MessagePackReader reader)
    {
        var path = reader.ReadString() ?? "";
        return path.Length <= MaxPathLength && (path.Length == 0 || path[0] == '/') && !path.Contains('\0')
            ? path
            : throw FrameCodec.Violation($"{path.Length} characters, not a full path of at most {MaxPathLength} characters");
    }

    public static void WriteReason(ref MessagePackWriter writer, string reason) =>
        writer.Write(reason.Length <= MaxReasonLength ? reason : reason[..MaxReasonLength]);

    /// <summary>A sentence of a stranger, safe for logs and terminals.</summary>
    public static string ReadReason(ref MessagePackReader reader) => StrangersText.Clean(reader.ReadString() ?? "", MaxReasonLength);
}
