using System.Globalization;
using System.Text.Json;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Bench.Updating;

/// <summary>A checkpoint of BF16 tensors in the layout of Qwen3-235B (fewer experts to a layer), of about a size; the same bytes in every process. Those of two seeds share no shard, whatever their sizes.</summary>
internal sealed class BenchModel
{
    private const int ShardBytes = 16 << 20;
    private const int SmallTensor = 1 << 20;
    private const int PoolBytes = 256 << 20;
    private const string FileName = "model.safetensors";
    private const int ExpertsPerLayer = 16;

    private readonly byte[] _pool = new byte[PoolBytes + ShardBytes];
    private readonly List<SafetensorsTensor> _tensors;
    private readonly int _seed;

    private BenchModel(List<SafetensorsTensor> tensors, long bytes, int seed)
    {
        (_tensors, Bytes, _seed) = (tensors, bytes, seed);
        new Random(seed).NextBytes(_pool);
        Offsets = tensors.ToDictionary(tensor => tensor.Name, tensor => tensor.Offset, StringComparer.Ordinal);
    }

    /// <summary>Bytes of all tensors.</summary>
    public long Bytes { get; }

    /// <summary>Where each tensor starts, from the first on.</summary>
    public IReadOnlyDictionary<string, long> Offsets { get; }

    public static BenchModel Create(long size, int seed = 1)
    {
        var (tensors, total) = LayOut(size);
        return new BenchModel(tensors, total, seed);
    }

    /// <summary>Writes it as a safetensors file.</summary>
    public async Task WriteAsync(string folder, CancellationToken cancellationToken)
    {
        // The header has shards too.
        var entries = new Dictionary<string, object> { ["__metadata__"] = new { seed = _seed.ToString(CultureInfo.InvariantCulture) } };
        _tensors.ForEach(tensor => entries.Add(
            tensor.Name, new { dtype = tensor.DType, shape = tensor.Shape, data_offsets = new[] { tensor.Offset, tensor.Offset + tensor.Length } }));
        var header = JsonSerializer.SerializeToUtf8Bytes(entries);
        using var file = File.OpenHandle(Path.Combine(folder, FileName), FileMode.CreateNew, FileAccess.Write, FileShare.None);
        RandomAccess.Write(file, [.. BitConverter.GetBytes((long)header.Length), .. header], 0);
        var data = sizeof(long) + header.Length;
        await Parallel.ForAsync(0, (Bytes + ShardBytes - 1) / ShardBytes, cancellationToken, (chunk, _) =>
        {
            var bytes = new byte[Math.Min(ShardBytes, Bytes - (chunk * ShardBytes))];
            Fill(chunk * ShardBytes, bytes);
            RandomAccess.Write(file, bytes, data + (chunk * ShardBytes));
            return ValueTask.CompletedTask;
        });
    }

    /// <summary>Hashes it and puts it into a store.</summary>
    public async Task<Manifest> StoreAsync(ShardStore store, CancellationToken cancellationToken)
    {
        var extents = Cut(_tensors, Bytes);
        var shards = new ShardInfo[extents.Count];
        await Parallel.ForAsync(0, extents.Count, cancellationToken, async (index, token) =>
        {
            var (offset, length) = extents[index];
            var bytes = new byte[length];
            Fill(offset, bytes);
            shards[index] = new ShardInfo(Blake3.Hash(bytes), length);
            using var write = await store.BeginWriteAsync(shards[index], null, token);
            bytes.CopyTo(write.Buffer.Span);
            await write.CommitAsync(token);
        });
        return Manifest.Create(ShardBytes, [(FileName, Bytes, shards)], _tensors.Select(tensor => (FileName, tensor)), []);
    }

    /// <summary>The bytes of the tensors from an offset on.</summary>
    public void Fill(long offset, Span<byte> target)
    {
        // Every 16 MiB another part of the pool, with its number in front: no two shards are alike.
        Span<byte> number = stackalloc byte[sizeof(long)];
        for (var done = 0; done < target.Length;)
        {
            var (chunk, start) = ((offset + done) / ShardBytes, (int)((offset + done) % ShardBytes));
            var length = Math.Min(ShardBytes - start, target.Length - done);
            var shift = (int)(chunk * 7919 * 64 % PoolBytes);
            _pool.AsSpan(shift + start, length).CopyTo(target[done..]);
            if (start < sizeof(long))
            {
                BitConverter.TryWriteBytes(number, chunk);
                number[start..Math.Min(sizeof(long), start + length)].CopyTo(target[done..]);
            }

            done += length;
        }
    }

    private static (List<SafetensorsTensor> Tensors, long Total) LayOut(long size)
    {
        var tensors = new List<SafetensorsTensor>();
        var offset = 0L;
        for (var layer = 0; offset < size; layer++)
        {
            var prefix = $"model.layers.{layer}.";
            Add(prefix + "self_attn.q_proj.weight", 8192, 4096);
            Add(prefix + "self_attn.k_proj.weight", 512, 4096);
            Add(prefix + "self_attn.v_proj.weight", 512, 4096);
            Add(prefix + "self_attn.o_proj.weight", 4096, 8192);
            Add(prefix + "self_attn.q_norm.weight", 128);
            Add(prefix + "self_attn.k_norm.weight", 128);
            Add(prefix + "input_layernorm.weight", 4096);
            Add(prefix + "post_attention_layernorm.weight", 4096);
            Add(prefix + "mlp.gate.weight", 128, 4096);
            for (var expert = 0; expert < ExpertsPerLayer; expert++)
            {
                Add($"{prefix}mlp.experts.{expert}.gate_proj.weight", 1536, 4096);
                Add($"{prefix}mlp.experts.{expert}.up_proj.weight", 1536, 4096);
                Add($"{prefix}mlp.experts.{expert}.down_proj.weight", 4096, 1536);
            }
        }

        return (tensors, offset);

        void Add(string name, params long[] shape)
        {
            var length = shape.Aggregate(2L, (bytes, dimension) => bytes * dimension);
            if (offset < size)
            {
                tensors.Add(new SafetensorsTensor(name, "BF16", [.. shape], offset, length));
                offset += length;
            }
        }
    }

    /// <summary>As publishing cuts: a tensor of 1 MiB or more starts a shard and is cut every 16 MiB, smaller ones are packed.</summary>
    private static List<(long Offset, int Length)> Cut(List<SafetensorsTensor> tensors, long total)
    {
        var starts = new List<long>();
        var afterLarge = true;
        foreach (var tensor in tensors)
        {
            if (tensor.Length >= SmallTensor)
            {
                for (var offset = 0L; offset < tensor.Length; offset += ShardBytes)
                {
                    starts.Add(tensor.Offset + offset);
                }
            }
            else if (afterLarge)
            {
                starts.Add(tensor.Offset);
            }

            afterLarge = tensor.Length >= SmallTensor;
        }

        return [.. starts.Select((start, index) => (start, (int)((index + 1 < starts.Count ? starts[index + 1] : total) - start)))];
    }
}
