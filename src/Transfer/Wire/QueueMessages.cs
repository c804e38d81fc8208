using System.Collections.Immutable;
using P2PWeights.Store.Serialization;

namespace P2PWeights.Transfer.Wire;

/// <summary>Kinds of link that a device's port has; the numbers are those of <c>IBV_LINK_LAYER_*</c> in infiniband/verbs.h.</summary>
internal enum QueueLink
{
    InfiniBand = 1,
    Ethernet = 2,
}

/// <summary>One end of a connection of two queue pairs.</summary>
/// <param name="Number">Queue pair number, 24 bits.</param>
/// <param name="Psn">The first packet sequence number that this end sends, 24 bits.</param>
internal readonly record struct QueueEnd(uint Number, uint Psn);

/// <summary>One port of a device with the queue pairs made there for this connection.</summary>
/// <param name="Index">Number by which keys name the pair of devices: the caller's choice, repeated in the listener's answer.</param>
/// <param name="Link">What the port is connected to.</param>
/// <param name="Gid">Address of the port, 16 bytes.</param>
/// <param name="Lid">InfiniBand address of the port inside its subnet; 0 on Ethernet.</param>
/// <param name="MtuBytes">Active MTU of the port: 256, 512, 1024, 2048 or 4096 bytes. Both ends use the smaller one.</param>
/// <param name="MaxReadsOut">READs that this end may have under way on one queue pair (<c>max_rd_atomic</c>).</param>
/// <param name="MaxReadsIn">READs that this end answers at the same time on one queue pair (<c>max_dest_rd_atomic</c>).</param>
/// <param name="Queues">The queue pairs; the one at a place connects with the other side's at the same place.</param>
internal sealed record QueueDevice(
    int Index, QueueLink Link, ReadOnlyMemory<byte> Gid, int Lid, int MtuBytes, int MaxReadsOut, int MaxReadsIn, ImmutableArray<QueueEnd> Queues)
{
    public const int GidBytes = 16;

    /// <summary>Queue pair numbers and packet sequence numbers have 24 bits (InfiniBand architecture, base transport header).</summary>
    private const int Max24Bits = (1 << 24) - 1;

    private const int Fields = 8;

    public static void WriteAll(ref MessagePackWriter writer, ImmutableArray<QueueDevice> devices)
    {
        writer.WriteArrayHeader(devices.Length);
        foreach (var device in devices)
        {
            device.Write(ref writer);
        }
    }

    public static ImmutableArray<QueueDevice> ReadAll(ref MessagePackReader reader)
    {
        var devices = ImmutableArray.CreateBuilder<QueueDevice>(LeaseFields.ReadCount(ref reader, 1, WireLimits.MaxQueueDevices, "devices"));
        for (var i = 0; i < devices.Capacity; i++)
        {
            var rest = LeaseFields.BeginTuple(ref reader, Fields, "a device");
            devices.Add(Read(ref reader));
            LeaseFields.EndTuple(ref reader, rest);
        }

        LeaseFields.RequireDistinct(devices.Select(device => device.Index));
        return devices.MoveToImmutable();
    }

    private static QueueDevice Read(ref MessagePackReader reader)
    {
        var index = LeaseFields.ReadDevice(ref reader);
        var link = (QueueLink)FrameCodec.ReadInt32(ref reader, (int)QueueLink.InfiniBand, (int)QueueLink.Ethernet, "the kind of link");
        var gid = FrameCodec.ReadExact(ref reader, GidBytes, "a GID").ToArray();
        var lid = FrameCodec.ReadInt32(ref reader, 0, ushort.MaxValue, "a LID");
        var mtu = FrameCodec.ReadInt32(ref reader, 256, 4096, "an MTU");
        if (!int.IsPow2(mtu))
        {
            throw FrameCodec.Violation($"an MTU of {mtu} bytes does not exist");
        }

        var readsOut = FrameCodec.ReadInt32(ref reader, 0, byte.MaxValue, "the number of READs sent");
        var readsIn = FrameCodec.ReadInt32(ref reader, 0, byte.MaxValue, "the number of READs answered");
        var queues = ImmutableArray.CreateBuilder<QueueEnd>(LeaseFields.ReadCount(ref reader, 1, WireLimits.MaxQueuesPerDevice, "queue pairs"));
        for (var i = 0; i < queues.Capacity; i++)
        {
            var rest = LeaseFields.BeginTuple(ref reader, 2, "a queue pair");
            var number = FrameCodec.ReadInt32(ref reader, 0, Max24Bits, "a queue pair number");
            queues.Add(new QueueEnd((uint)number, (uint)FrameCodec.ReadInt32(ref reader, 0, Max24Bits, "a packet sequence number")));
            LeaseFields.EndTuple(ref reader, rest);
        }

        return new QueueDevice(index, link, gid, lid, mtu, readsOut, readsIn, queues.MoveToImmutable());
    }

    private void Write(ref MessagePackWriter writer)
    {
        writer.WriteArrayHeader(Fields);
        writer.Write(Index);
        writer.Write((int)Link);
        writer.Write(Gid.Span);
        writer.Write(Lid);
        writer.Write(MtuBytes);
        writer.Write(MaxReadsOut);
        writer.Write(MaxReadsIn);
        writer.WriteArrayHeader(Queues.Length);
        foreach (var queue in Queues)
        {
            writer.WriteArrayHeader(2);
            writer.Write(queue.Number);
            writer.Write(queue.Psn);
        }
    }
}

/// <summary>Here are my queue pairs, one entry per device; connect yours to them. Replaces the queue pairs connected on this lane before, and ends their leases.</summary>
internal sealed record ConnectQueuesMessage(ImmutableArray<QueueDevice> Devices) : IFrameMessage<ConnectQueuesMessage>
{
    public static FrameType Type => FrameType.ConnectQueues;

    public static int Fields => 1;

    public void Write(ref MessagePackWriter writer) => QueueDevice.WriteAll(ref writer, Devices);

    public static ConnectQueuesMessage Read(ref MessagePackReader reader) => new(QueueDevice.ReadAll(ref reader));
}

/// <summary>
/// Mine are connected to yours: one entry per device of the caller that could be, under the caller's index and with as many queue pairs as the caller gave there.
/// </summary>
internal sealed record QueuesConnectedMessage(ImmutableArray<QueueDevice> Devices) : IFrameMessage<QueuesConnectedMessage>
{
    public static FrameType Type => FrameType.QueuesConnected;

    public static int Fields => 1;

    public void Write(ref MessagePackWriter writer) => QueueDevice.WriteAll(ref writer, Devices);

    public static QueuesConnectedMessage Read(ref MessagePackReader reader) => new(QueueDevice.ReadAll(ref reader));
}

/// <summary>No queue pair could be connected, and why.</summary>
internal sealed record QueuesRefusedMessage(string Reason) : IFrameMessage<QueuesRefusedMessage>
{
    public static FrameType Type => FrameType.QueuesRefused;

    public static int Fields => 1;

    public void Write(ref MessagePackWriter writer) => LeaseFields.WriteReason(ref writer, Reason);

    public static QueuesRefusedMessage Read(ref MessagePackReader reader) => new(LeaseFields.ReadReason(ref reader));
}
