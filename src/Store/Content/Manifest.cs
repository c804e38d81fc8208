using System.Collections.Immutable;

namespace P2PWeights.Store.Content;

/// <summary>
/// The immutable description of one checkpoint: its files, each a list of shards in file order, its tensors, and free metadata.
/// One content has one encoding (canonical MessagePack: fixed field order, shortest forms) and so one digest.
/// A shard's <em>ordinal</em> is its index in <see cref="Shards"/>; bitmaps of a swarm are indexed by it.
/// </summary>
public sealed class Manifest
{
    /// <summary>The cutting limit used when nobody asks for another: 16 MiB.</summary>
    public const int DefaultMaxShardBytes = 16 << 20;

    private Manifest(
        int maxShardBytes,
        ImmutableArray<ShardInfo> shards,
        ImmutableArray<ManifestFile> files,
        ImmutableArray<TensorInfo> tensors,
        ImmutableSortedDictionary<string, string> metadata,
        byte[] encoded)
    {
        MaxShardBytes = maxShardBytes;
        Shards = shards;
        Files = files;
        Tensors = tensors;
        Metadata = metadata;
        Encoded = encoded;
    }

    /// <summary>Largest shard that the cutting of this checkpoint could make, in bytes.</summary>
    public int MaxShardBytes { get; }

    /// <summary>Distinct shards, in the order of their first use by <see cref="Files"/>.</summary>
    public ImmutableArray<ShardInfo> Shards { get; }

    /// <summary>Files, in ordinal order of their paths.</summary>
    public ImmutableArray<ManifestFile> Files { get; }

    /// <summary>Tensors of all safetensors files, ordered by file, then by offset, then by name.</summary>
    public ImmutableArray<TensorInfo> Tensors { get; }

    /// <summary>Free metadata, ordered by key. It is part of the digest, so times and host names do not belong here.</summary>
    public ImmutableSortedDictionary<string, string> Metadata { get; }

    /// <summary>The canonical encoding: the bytes that <see cref="Digest"/> names.</summary>
    public ReadOnlyMemory<byte> Encoded { get; }

    /// <summary>BLAKE3-256 of <see cref="Encoded"/>.</summary>
    public Digest Digest => throw new NotImplementedException();

    /// <summary>Sum of the file sizes, in bytes; a shard used twice counts twice.</summary>
    public long TotalBytes => throw new NotImplementedException();

    /// <summary>Builds and encodes a manifest; sorts files, tensors and metadata into canonical order.</summary>
    /// <param name="maxShardBytes">The cutting limit that was used.</param>
    /// <param name="files">Path, size and shards in file order of each file; the sizes of the shards add up to the file's size.</param>
    /// <param name="tensors">Tensors per path, with offsets from the start of the file.</param>
    /// <param name="metadata">Free metadata.</param>
    /// <exception cref="ManifestException">A path is forbidden or the parts contradict each other; the message says which.</exception>
    public static Manifest Create(
        int maxShardBytes,
        IEnumerable<(string Path, long Size, IReadOnlyList<ShardInfo> Shards)> files,
        IEnumerable<(string Path, SafetensorsTensor Tensor)> tensors,
        IEnumerable<KeyValuePair<string, string>> metadata) => throw new NotImplementedException();

    /// <summary>Reads an encoded manifest from anywhere, hostile places included: limits first, then every rule that <see cref="Create"/> keeps, then that the encoding is the canonical one.</summary>
    /// <exception cref="ManifestException">The bytes are not a canonical manifest; the message says what is wrong and where.</exception>
    public static Manifest Decode(ReadOnlyMemory<byte> encoded) => throw new NotImplementedException();
}

/// <summary>One file of a checkpoint.</summary>
/// <param name="Path">Relative, <c>/</c>-separated; see <see cref="ManifestPath"/> for what is refused.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Shards">Ordinals in the manifest's shard table, in file order; each extent starts where the one before ends.</param>
public sealed record ManifestFile(string Path, long Size, ImmutableArray<int> Shards);

/// <summary>One tensor of a checkpoint, as its safetensors file declares it.</summary>
/// <param name="Name">Name, unique within the file.</param>
/// <param name="DType">The declared dtype, e.g. <c>BF16</c>; carried through untouched when unknown.</param>
/// <param name="Shape">Dimensions, outermost first; empty for a scalar.</param>
/// <param name="File">Index in <see cref="Manifest.Files"/>.</param>
/// <param name="Offset">First byte, from the start of the file.</param>
/// <param name="Length">Bytes.</param>
public sealed record TensorInfo(string Name, string DType, ImmutableArray<long> Shape, int File, long Offset, long Length);

/// <summary>A manifest, or what should become one, is not acceptable. The message says what, where, and the rule.</summary>
public sealed class ManifestException(string message, Exception? inner = null) : Exception(message, inner);
