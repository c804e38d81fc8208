using System.Buffers;
using System.Collections.Immutable;
using System.Globalization;

namespace P2PWeights.Client.Engines;

/// <summary>The messages of checkpoint-engine's protocol from us to an engine (docs/protocol.md, engine channels): each one pickle.</summary>
internal static class EngineMessages
{
    /// <summary>
    /// The layout of torch's storage handles, as torch writes it since 2.5: this byte, the kind of allocation, and what that kind needs. The layout for plain
    /// cudaMalloc blocks is the same in all versions, and a torch takes every version up to its own, so the lowest suits all.
    /// </summary>
    private const byte HandleVersion = 1;

    private const int IpcHandleBytes = 64;

    /// <summary>
    /// The slot memory. For a GPU: torch's own function that opens a CUDA IPC handle, and its arguments, for one uint8 tensor over all slots; the engine puts
    /// its own index of the device in the place of the sixth. For the host: <c>("host", path, bytes)</c>, which only our own package understands.
    /// </summary>
    public static void WriteMemory(IBufferWriter<byte> output, SlotMemory memory)
    {
        var pickle = new PickleWriter(output);
        pickle.Start();
        pickle.Mark();
        if (memory is HostSlotMemory host)
        {
            pickle.Text("host");
            pickle.Text(host.Path);
            pickle.Int(host.Size);
        }
        else if (memory is CudaSlotMemory cuda)
        {
            pickle.Global("torch.multiprocessing.reductions", "rebuild_cuda_tensor");
            WriteRebuildArguments(pickle, cuda);
        }

        pickle.Tuple();
        pickle.Stop();
    }

    /// <summary>A bucket: a list of <c>{"name", "dtype", "shape", "offset"}</c>.</summary>
    public static void WriteTensors(IBufferWriter<byte> output, ImmutableArray<TensorRecord> tensors)
    {
        var pickle = new PickleWriter(output);
        pickle.Start();
        pickle.List();
        pickle.Mark();
        foreach (var tensor in tensors)
        {
            pickle.Dictionary();
            pickle.Mark();
            pickle.Text("name");
            pickle.Text(tensor.Name);
            pickle.Text("dtype");
            pickle.Global("torch", EngineDType.TorchName(tensor.DType)!);
            pickle.Text("shape");
            pickle.Mark();
            foreach (var dimension in tensor.Shape)
            {
                pickle.Int(dimension);
            }

            pickle.Tuple();
            pickle.Text("offset");
            pickle.Int(tensor.Offset);
            pickle.SetItems();
        }

        pickle.Append();
        pickle.Stop();
    }

    /// <summary>No bucket follows; sent a second time, nothing at all follows.</summary>
    public static void WriteEnd(IBufferWriter<byte> output)
    {
        var pickle = new PickleWriter(output);
        pickle.Start();
        pickle.None();
        pickle.Stop();
    }

    /// <summary>An exception, which the engine raises.</summary>
    public static void WriteFailure(IBufferWriter<byte> output, string reason)
    {
        var pickle = new PickleWriter(output);
        pickle.Start();
        pickle.Global("builtins", "RuntimeError");
        pickle.Mark();
        pickle.Text(reason);
        pickle.Tuple();
        pickle.Call();
        pickle.Stop();
    }

    /// <summary>Whether an engine can be told of a tensor, and whether the record is right for the memory that it lies in.</summary>
    /// <returns>Null, or what is wrong.</returns>
    public static string? Check(TensorRecord tensor, SlotMemory memory)
    {
        var size = EngineDType.Size(tensor.DType);
        if (size == 0)
        {
            return string.Create(CultureInfo.InvariantCulture, $"engines have no dtype {tensor.DType} (tensor {tensor.Name})");
        }

        Int128 bytes = size;
        foreach (var dimension in tensor.Shape)
        {
            // Checked as it grows: 64 dimensions of any size would leave 128 bits too.
            bytes = dimension < 0 || bytes > memory.Size ? Int128.MaxValue : bytes * dimension;
        }

        return tensor.Offset < 0 || tensor.Offset % size != 0 || bytes > memory.Size - tensor.Offset
            ? string.Create(CultureInfo.InvariantCulture, $"tensor {tensor.Name}, {tensor.DType} [{string.Join(", ", tensor.Shape)}], does not fit at byte {tensor.Offset} of {memory.Size}")
            : null;
    }

    // torch/multiprocessing/reductions.py, rebuild_cuda_tensor.
    private static void WriteRebuildArguments(PickleWriter pickle, CudaSlotMemory memory)
    {
        if (memory.IpcHandle.Length != IpcHandleBytes)
        {
            throw new ArgumentException($"a CUDA IPC handle has {IpcHandleBytes} bytes, not {memory.IpcHandle.Length}", nameof(memory));
        }

        pickle.Mark();
        pickle.Global("torch", "Tensor");
        pickle.Mark();
        pickle.Int(memory.Size);
        pickle.Tuple();
        pickle.Mark();
        pickle.Int(1);
        pickle.Tuple();
        pickle.Int(0);
        pickle.Global("torch.storage", "TypedStorage");
        pickle.Global("torch", "uint8");
        pickle.Int(0);
        // 'c': a plain cudaMalloc block.
        pickle.Bytes([HandleVersion, (byte)'c', .. memory.IpcHandle.Span]);
        pickle.Int(memory.Size);
        pickle.Int(memory.Offset);
        pickle.Bool(false);
        // Who shares a tensor counts its users in shared memory under this name. Nobody counts here: the protocol says when the memory is free, and torch does
        // without a counter that it does not find.
        pickle.Bytes("/p2pweights-none"u8);
        pickle.Int(0);
        // The event to wait for before the memory is read: none, for the copies are complete when a bucket is told.
        pickle.Bytes(new byte[64]);
        pickle.Bool(false);
        pickle.Tuple();
    }
}
