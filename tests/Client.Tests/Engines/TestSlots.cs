using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using P2PWeights.Client.Engines;
using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.Engines;

/// <summary>Slot memory in a file of /dev/shm, filled by hand. For a test's engine without a GPU its path stands for a CUDA IPC handle.</summary>
internal sealed class TestSlots : IDisposable
{
    private readonly string _path = $"/dev/shm/p2pw-test-{Guid.NewGuid():n}";
    private readonly FileStream _file;

    public TestSlots(int size)
    {
        Size = size;
        _file = new FileStream(_path, FileMode.CreateNew, FileAccess.ReadWrite);
        _file.SetLength(size);
    }

    public int Size { get; }

    public HostSlotMemory Host => new(_path, Size);

    /// <summary>The same memory as if it were a GPU's; <paramref name="offset"/> bytes at the start are not of the slots.</summary>
    public CudaSlotMemory Cuda(EngineDevice device, int offset = 0)
    {
        var handle = new byte[64];
        Encoding.UTF8.GetBytes(_path, handle);
        return new CudaSlotMemory(device.Id, handle, offset, Size - offset);
    }

    /// <summary>Writes a bucket of tensors with random bytes, 256-byte aligned, from an offset in the slots on.</summary>
    /// <param name="shift">Where the slots begin in the memory.</param>
    /// <returns>The records, and the SHA-256 of each, in hex digits.</returns>
    public (ImmutableArray<TensorRecord> Records, IReadOnlyList<string> Digests) Fill(Seeded seeded, long offset, int shift, params (string Name, string DType, long[] Shape)[] tensors)
    {
        var records = ImmutableArray.CreateBuilder<TensorRecord>();
        List<string> digests = [];
        foreach (var (name, dtype, shape) in tensors)
        {
            var bytes = seeded.Bytes((int)(EngineDType.Size(dtype) * shape.Aggregate(1L, (product, dimension) => product * dimension)));
            RandomAccess.Write(_file.SafeFileHandle, bytes, shift + offset);
            records.Add(new TensorRecord(name, dtype, [.. shape], offset));
            digests.Add(Convert.ToHexStringLower(SHA256.HashData(bytes)));
            offset = (offset + bytes.Length + 255) / 256 * 256;
        }

        return (records.ToImmutable(), digests);
    }

    public void Dispose()
    {
        _file.Dispose();
        File.Delete(_path);
    }
}
