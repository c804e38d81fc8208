using System.Runtime.InteropServices;
using P2PWeights.Native.Posix;
using P2PWeights.Native.Verbs.Imports;

namespace P2PWeights.Native.Verbs;

/// <summary>An open RDMA device (<c>struct ibv_context</c>). Several may be open for one name; what one made works with that one only.</summary>
public sealed unsafe class VerbsDevice : VerbsHandle
{
    /// <summary>Entries of the largest GID tables in use are 256 per port.</summary>
    private const int MaxGids = 1024;

    private readonly DescriptorWait _events;

    private VerbsDevice(string name, DescriptorWait events) => (Name, _events) = (name, events);

    /// <summary>The kernel's name for it, such as <c>mlx5_0</c>.</summary>
    public string Name { get; }

    /// <summary>Interrupt vectors that completion queues can be spread over.</summary>
    public int CompletionVectors
    {
        get
        {
            using var self = Use();
            return ((ibv_context*)self.Pointer)->num_comp_vectors;
        }
    }

    /// <summary>The devices that the kernel and an installed driver know, with whether each can have reliable connections over InfiniBand or RoCE.</summary>
    /// <exception cref="NativeException">The kernel has no verbs at all (ENOSYS), or another failure.</exception>
    public static IReadOnlyList<(string Name, bool IsSupported)> List()
    {
        var list = GetList(out var count);
        try
        {
            var devices = new (string, bool)[count];
            for (var index = 0; index < count; index++)
                devices[index] = (NameOf(list[index]), list[index]->transport_type == Ibv.IBV_TRANSPORT_IB);
            return devices;
        }
        finally
        {
            Ibv.ibv_free_device_list(list);
        }
    }

    /// <summary>Opens a device by its name.</summary>
    /// <exception cref="NativeException">No such device (ENODEV), not permitted, or another failure.</exception>
    public static VerbsDevice Open(string name)
    {
        var list = GetList(out var count);
        try
        {
            for (var index = 0; index < count; index++)
            {
                if (NameOf(list[index]) == name)
                    return Open(name, list[index]);
            }
        }
        finally
        {
            Ibv.ibv_free_device_list(list);
        }

        throw Ibv.Error("ibv_open_device", Errno.NoSuchDevice, name);
    }

    /// <exception cref="NativeException">The device is gone.</exception>
    public DeviceAttributes QueryAttributes()
    {
        using var self = Use();
        ibv_device_attr attributes = default;
        var returned = Ibv.ibv_query_device((ibv_context*)self.Pointer, &attributes);
        return returned == 0 ? DeviceAttributes.From(attributes) : throw Ibv.Error("ibv_query_device", returned, Name);
    }

    /// <param name="port">Counted from 1.</param>
    /// <exception cref="NativeException">No such port, or the device is gone.</exception>
    public PortAttributes QueryPort(byte port)
    {
        using var self = Use();
        ibv_port_attr attributes = default;
        var returned = Ibv.ibv_query_port((ibv_context*)self.Pointer, port, &attributes);
        return returned == 0 ? PortAttributes.From(attributes) : throw Ibv.Error("ibv_query_port", returned, Name);
    }

    /// <summary>The GIDs in use now, of all ports.</summary>
    /// <exception cref="NativeException">The device is gone.</exception>
    public IReadOnlyList<GidEntry> QueryGids()
    {
        using var self = Use();
        var entries = new ibv_gid_entry[MaxGids];
        fixed (ibv_gid_entry* first = entries)
        {
            var count = Ibv._ibv_query_gid_table((ibv_context*)self.Pointer, first, MaxGids, 0, (nuint)sizeof(ibv_gid_entry));
            if (count < 0)
                throw Ibv.Error("ibv_query_gid_table", (int)-count, Name);
            return [.. entries.Take((int)count).Select(entry => new GidEntry(
                (byte)entry.port_num, (int)entry.gid_index, entry.gid, (GidType)entry.gid_type, (int)entry.ndev_ifindex))];
        }
    }

    /// <summary>
    /// Blocks until something happens to the device, a port or a queue pair. One thread at a time; call <see cref="Wake"/> before the device is disposed,
    /// which otherwise waits for the end of the time.
    /// </summary>
    /// <returns>The event; null when the time was over or somebody called <see cref="Wake"/>.</returns>
    /// <exception cref="NativeException">The event queue broke.</exception>
    public DeviceEvent? WaitForEvent(TimeSpan timeout)
    {
        using var self = Use();
        var context = (ibv_context*)self.Pointer;
        if (!_events.Wait(context->async_fd, timeout))
            return null;
        ibv_async_event happened;
        if (Ibv.ibv_get_async_event(context, &happened) != 0)
        {
            return Marshal.GetLastPInvokeError() is Errno.WouldBlock or Errno.Interrupted
                ? null
                : throw Ibv.LastError("ibv_get_async_event", Name);
        }

        var result = Describe(happened);
        Ibv.ibv_ack_async_event(&happened); // at once: destroying a queue pair waits for it
        return result;
    }

    /// <summary>Ends the wait for events that is going on, or the next one at once.</summary>
    public void Wake() => _events.Wake();

    private protected override int Release(nint native, out string function)
    {
        function = "ibv_close_device";
        _events.Dispose();
        return Ibv.ibv_close_device(native);
    }

    private static VerbsDevice Open(string name, ibv_device* native)
    {
        var device = new VerbsDevice(name, new DescriptorWait());
        var opened = Ibv.ibv_open_device(native);
        device.Own((nint)opened, opened is null ? OpenFailure(name, native) : null);
        try
        {
            DescriptorWait.MakeNonBlocking(((ibv_context*)device.handle)->async_fd);
            return device;
        }
        catch (NativeException)
        {
            device.Dispose();
            throw;
        }
    }

    /// <summary>Why a device cannot be opened. Without permission the library looks elsewhere and answers ENOENT: what its device node says is the reason.</summary>
    private static NativeException OpenFailure(string name, ibv_device* native)
    {
        var failure = Ibv.LastError("ibv_open_device", name);
        var node = $"/dev/infiniband/{Marshal.PtrToStringUTF8((nint)native->dev_name)}";
        using var file = Libc.open(node, Libc.O_RDWR | Libc.O_CLOEXEC, 0);
        return file.IsInvalid ? Libc.LastError($"{name} at {node}", "open") : failure;
    }

    private static ibv_device** GetList(out int count)
    {
        fixed (int* result = &count)
        {
            var list = Ibv.ibv_get_device_list(result);
            return list is not null ? list : throw Ibv.LastError("ibv_get_device_list");
        }
    }

    private static string NameOf(ibv_device* device) => Marshal.PtrToStringUTF8((nint)device->name)!;

    private static DeviceEvent Describe(in ibv_async_event happened)
    {
        // The element is a queue pair for the first group and the last, nothing or a port in between (ibv_get_async_event(3)).
        var kind = (DeviceEventKind)happened.event_type;
        return kind switch
        {
            (>= DeviceEventKind.QueuePairFatal and <= DeviceEventKind.PathMigrationError) or DeviceEventKind.LastRequestReached => new(kind, 0, happened.qp->qp_num),
            (>= DeviceEventKind.PortActive and <= DeviceEventKind.SubnetManagerChange) or DeviceEventKind.ClientReregister or DeviceEventKind.GidChange =>
                new(kind, (byte)happened.port_num, 0),
            _ => new(kind, 0, 0),
        };
    }
}
