using System.Collections.Concurrent;
using System.Collections.Immutable;
using P2PWeights.Client.Engines;

namespace P2PWeights.Client.Tests.Updating;

/// <summary>What a rank would have in its parameters: copies each bucket out of the slots, in a file that it opens itself, as an engine's process does.</summary>
internal sealed class SlotReader
{
    private readonly ConcurrentDictionary<string, byte[]> _tensors = new(StringComparer.Ordinal);

    /// <summary>Bytes by name.</summary>
    public IReadOnlyDictionary<string, byte[]> Tensors => _tensors;

    public void Read(SlotMemory memory, ImmutableArray<TensorRecord> records)
    {
        using var slots = File.OpenHandle(((HostSlotMemory)memory).Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        foreach (var record in records)
        {
            Assert.Equal(0, record.Offset % 256);
            var bytes = new byte[record.Shape.Aggregate((long)EngineDType.Size(record.DType), (product, dimension) => product * dimension)];
            Assert.Equal(bytes.Length, RandomAccess.Read(slots, bytes, record.Offset));
            Assert.True(_tensors.TryAdd(record.Name, bytes), $"{record.Name} came twice");
        }
    }
}
