using System.Collections.Immutable;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Serialization;
using P2PWeights.Transfer.Leasing;

namespace P2PWeights.Transfer.Wire;

/// <summary>Promise me this shard, which has this size, where I can read it.</summary>
internal sealed record LocateMessage(ShardInfo Shard, LeaseKind Kind) : IFrameMessage<LocateMessage>
{
    public static FrameType Type => FrameType.Locate;

    public static int Fields => 3;

    public void Write(ref MessagePackWriter writer)
    {
        FrameCodec.Write(ref writer, Shard.Digest);
        writer.Write(Shard.Size);
        writer.Write((int)Kind);
    }

    public static LocateMessage Read(ref MessagePackReader reader)
    {
        var digest = FrameCodec.ReadDigest(ref reader);
        var size = FrameCodec.ReadInt32(ref reader, 1, WireLimits.MaxShardBytes, "the size of a shard");
        return new LocateMessage(new ShardInfo(digest, size), (LeaseKind)FrameCodec.ReadInt32(ref reader, (int)LeaseKind.File, (int)LeaseKind.Gpu, "the kind of lease"));
    }
}

/// <summary>A lease on a range of a file.</summary>
/// <param name="Lease">Number of the lease, by which it is released; grows within a lane.</param>
/// <param name="Milliseconds">How long it holds, counted by the listener from when it sends this.</param>
/// <param name="Location">Where the bytes lie.</param>
/// <param name="IsBrief">Whether it ends after <see cref="WireLimits.MaxBriefLeaseTime"/>, however often it is renewed: to be read from, not to be kept.</param>
internal sealed record LocatedFileMessage(ulong Lease, int Milliseconds, FileLocation Location, bool IsBrief = false) : IFrameMessage<LocatedFileMessage>
{
    public static FrameType Type => FrameType.LocatedFile;

    public static int Fields => 11;

    public void Write(ref MessagePackWriter writer)
    {
        writer.Write(Lease);
        writer.Write(Milliseconds);
        writer.Write((int)Location.Tier);
        writer.Write(Location.Path);
        writer.Write(Location.Identity.Device);
        writer.Write(Location.Identity.Inode);
        writer.Write(Location.Identity.Size);
        writer.Write(Location.Identity.ModifiedNs);
        writer.Write(Location.Offset);
        writer.Write(Location.IsUnfinished);
        writer.Write(IsBrief);
    }

    public static LocatedFileMessage Read(ref MessagePackReader reader)
    {
        var lease = reader.ReadUInt64();
        var milliseconds = LeaseFields.ReadMilliseconds(ref reader);
        var tier = (Tiers)FrameCodec.ReadInt32(ref reader, 0, byte.MaxValue, "a tier");
        var path = LeaseFields.ReadPath(ref reader);
        var identity = new FileIdentity(reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadInt64(), reader.ReadInt64());
        var offset = reader.ReadInt64();
        var isUnfinished = reader.ReadBoolean();
        var isBrief = reader.ReadBoolean();
        if (tier is not (Tiers.Memory or Tiers.Disk or Tiers.Reference) || path.Length == 0 || identity.Size < 0 || offset < 0 || offset >= identity.Size)
        {
            throw FrameCodec.Violation($"tier {(int)tier}, offset {offset} of {identity.Size} bytes in '{path}' is no place of a shard");
        }

        return new LocatedFileMessage(lease, milliseconds, new FileLocation(tier, path, identity, offset, isUnfinished), isBrief);
    }
}

/// <summary>A lease on registered memory.</summary>
/// <param name="Lease">See <see cref="LocatedFileMessage"/>.</param>
/// <param name="Milliseconds">See <see cref="LocatedFileMessage"/>.</param>
/// <param name="Location">Where the bytes lie, per connected device.</param>
internal sealed record LocatedMemoryMessage(ulong Lease, int Milliseconds, MemoryLocation Location) : IFrameMessage<LocatedMemoryMessage>
{
    public static FrameType Type => FrameType.LocatedMemory;

    public static int Fields => 3;

    public void Write(ref MessagePackWriter writer)
    {
        writer.Write(Lease);
        writer.Write(Milliseconds);
        writer.WriteArrayHeader(Location.Keys.Count);
        foreach (var key in Location.Keys)
        {
            writer.WriteArrayHeader(3);
            writer.Write(key.Device);
            writer.Write(key.Address);
            writer.Write(key.Key);
        }
    }

    public static LocatedMemoryMessage Read(ref MessagePackReader reader)
    {
        var lease = reader.ReadUInt64();
        var milliseconds = LeaseFields.ReadMilliseconds(ref reader);
        var keys = new RemoteKey[LeaseFields.ReadCount(ref reader, 1, WireLimits.MaxQueueDevices, "devices")];
        for (var i = 0; i < keys.Length; i++)
        {
            var rest = LeaseFields.BeginTuple(ref reader, 3, "a remote key");
            keys[i] = new RemoteKey(LeaseFields.ReadDevice(ref reader), reader.ReadUInt64(), reader.ReadUInt32());
            LeaseFields.EndTuple(ref reader, rest);
        }

        LeaseFields.RequireDistinct(keys.Select(key => key.Device));
        return new LocatedMemoryMessage(lease, milliseconds, new MemoryLocation(keys));
    }
}

/// <summary>A lease on a range of a GPU's memory.</summary>
/// <param name="Lease">See <see cref="LocatedFileMessage"/>.</param>
/// <param name="Milliseconds">See <see cref="LocatedFileMessage"/>.</param>
/// <param name="Location">Where the bytes lie.</param>
internal sealed record LocatedGpuMessage(ulong Lease, int Milliseconds, GpuLocation Location) : IFrameMessage<LocatedGpuMessage>
{
    public static FrameType Type => FrameType.LocatedGpu;

    public static int Fields => 4;

    public void Write(ref MessagePackWriter writer)
    {
        writer.Write(Lease);
        writer.Write(Milliseconds);
        writer.Write(Location.Gpu);
        writer.Write(Location.Offset);
    }

    public static LocatedGpuMessage Read(ref MessagePackReader reader)
    {
        var lease = reader.ReadUInt64();
        var milliseconds = LeaseFields.ReadMilliseconds(ref reader);
        var gpu = FrameCodec.ReadInt32(ref reader, 0, GpuMemory.MaxGpus - 1, "the number of a GPU");
        var offset = reader.ReadInt64();
        return offset >= 0
            ? new LocatedGpuMessage(lease, milliseconds, new GpuLocation(gpu, offset))
            : throw FrameCodec.Violation($"offset {offset} on GPU {gpu} is no place of a shard");
    }
}

/// <summary>No lease is to be had, for a reason that does not say that the shard is not held: the caller takes another path.</summary>
internal sealed record LocateRefusedMessage(string Reason) : IFrameMessage<LocateRefusedMessage>
{
    public static FrameType Type => FrameType.LocateRefused;

    public static int Fields => 1;

    public void Write(ref MessagePackWriter writer) => LeaseFields.WriteReason(ref writer, Reason);

    public static LocateRefusedMessage Read(ref MessagePackReader reader) => new(LeaseFields.ReadReason(ref reader));
}

/// <summary>These leases are not needed any more. Leases that have ended already are passed over.</summary>
internal sealed record ReleaseMessage(ImmutableArray<ulong> Leases) : IFrameMessage<ReleaseMessage>
{
    public static FrameType Type => FrameType.Release;

    public static int Fields => 1;

    public void Write(ref MessagePackWriter writer)
    {
        writer.WriteArrayHeader(Leases.Length);
        foreach (var lease in Leases)
        {
            writer.Write(lease);
        }
    }

    public static ReleaseMessage Read(ref MessagePackReader reader)
    {
        var leases = ImmutableArray.CreateBuilder<ulong>(LeaseFields.ReadCount(ref reader, 1, WireLimits.MaxReleases, "leases"));
        for (var i = 0; i < leases.Capacity; i++)
        {
            leases.Add(reader.ReadUInt64());
        }

        return new ReleaseMessage(leases.MoveToImmutable());
    }
}

/// <summary>All leases of this lane that had not ended when the request came hold for so long from now.</summary>
/// <param name="Recalls">The listener wants its memory back: leases on files that lie in its arena and are not brief are excepted, and hold no longer than they did.</param>
internal sealed record RenewedMessage(int Milliseconds, bool Recalls) : IFrameMessage<RenewedMessage>
{
    public static FrameType Type => FrameType.Renewed;

    public static int Fields => 2;

    public void Write(ref MessagePackWriter writer)
    {
        writer.Write(Milliseconds);
        writer.Write(Recalls);
    }

    public static RenewedMessage Read(ref MessagePackReader reader) => new(LeaseFields.ReadMilliseconds(ref reader), reader.ReadBoolean());
}
