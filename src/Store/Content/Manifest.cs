using System.Collections.Immutable;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Store.Content;

/// <summary>
/// The immutable description of one checkpoint: its files, each a list of shards in file order, its tensors, and free metadata.
/// One content has one encoding (canonical MessagePack: fixed field order, shortest forms) and so one digest; docs/protocol.md, "Manifest", describes it.
/// A shard's <em>ordinal</em> is its index in <see cref="Shards"/>; bitmaps of a swarm are indexed by it.
/// </summary>
public sealed class Manifest
{
    /// <summary>The cutting limit used when nobody asks for another: 16 MiB.</summary>
    public const int DefaultMaxShardBytes = 16 << 20;

    /// <summary>The largest cutting limit that may be asked for, in bytes: the largest block of the memory tier.</summary>
    public const int LargestShardBytes = 16 << 20;

    /// <summary>Longest encoding that is read or made, in bytes. A checkpoint of 700 GB takes about 10 MB.</summary>
    public const int MaxEncodedBytes = 64 << 20;

    /// <summary>Most extents that all files together may have: 64 TiB cut every 16 MiB.</summary>
    public const int MaxExtents = 4 << 20;

    /// <summary>Most files.</summary>
    public const int MaxFiles = 100_000;

    /// <summary>Most tensors.</summary>
    public const int MaxTensors = 1_000_000;

    /// <summary>Most entries of the metadata.</summary>
    public const int MaxMetadataEntries = 10_000;

    /// <summary>Most bytes, as UTF-8, of a tensor's name, of its dtype, and of a metadata key.</summary>
    public const int MaxNameBytes = 4096;

    /// <summary>Most dimensions of a tensor.</summary>
    public const int MaxDimensions = 64;

    /// <summary>Builds from parts that <see cref="ManifestBuilder"/> checked and put into canonical order.</summary>
    internal Manifest(
        int maxShardBytes,
        ImmutableArray<ShardInfo> shards,
        ImmutableArray<ManifestFile> files,
        ImmutableArray<TensorInfo> tensors,
        ImmutableSortedDictionary<string, string> metadata)
    {
        MaxShardBytes = maxShardBytes;
        Shards = shards;
        Files = files;
        Tensors = tensors;
        Metadata = metadata;
        TotalBytes = files.Sum(file => file.Size);
        Encoded = ManifestCodec.Encode(this);
        if (Encoded.Length > MaxEncodedBytes)
        {
            throw new ManifestException($"the manifest has {Encoded.Length} bytes, at most {MaxEncodedBytes} are allowed: publish in parts, or with larger shards");
        }

        Digest = Blake3.Hash(Encoded.Span);
    }

    /// <summary>Largest shard that the cutting of this checkpoint could make, in bytes.</summary>
    public int MaxShardBytes { get; }

    /// <summary>Distinct shards, in the order of their first use by <see cref="Files"/>.</summary>
    public ImmutableArray<ShardInfo> Shards { get; }

    /// <summary>Files, in the order of their paths' UTF-8 bytes.</summary>
    public ImmutableArray<ManifestFile> Files { get; }

    /// <summary>Tensors of all safetensors files, ordered by file, then by offset, then by name.</summary>
    public ImmutableArray<TensorInfo> Tensors { get; }

    /// <summary>Free metadata, in the order of the keys' UTF-8 bytes. It is part of the digest, so times and host names do not belong here.</summary>
    public ImmutableSortedDictionary<string, string> Metadata { get; }

    /// <summary>The canonical encoding: the bytes that <see cref="Digest"/> names.</summary>
    public ReadOnlyMemory<byte> Encoded { get; }

    /// <summary>BLAKE3-256 of <see cref="Encoded"/>.</summary>
    public Digest Digest { get; }

    /// <summary>Sum of the file sizes, in bytes; a shard used twice counts twice.</summary>
    public long TotalBytes { get; }

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
        IEnumerable<KeyValuePair<string, string>> metadata)
    {
        ArgumentNullException.ThrowIfNull(files);
        ArgumentNullException.ThrowIfNull(tensors);
        ArgumentNullException.ThrowIfNull(metadata);
        var builder = new ManifestBuilder(maxShardBytes);
        builder.AddFiles(files);
        builder.AddTensors(tensors);
        builder.AddMetadata(metadata);
        return builder.Build();
    }

    /// <summary>Reads an encoded manifest from anywhere, hostile places included: limits first, then every rule that <see cref="Create"/> keeps, then that the encoding is the canonical one.</summary>
    /// <exception cref="ManifestException">The bytes are not a canonical manifest; the message says what is wrong and where.</exception>
    public static Manifest Decode(ReadOnlyMemory<byte> encoded)
    {
        var manifest = ManifestCodec.Decode(encoded);

        // Everything that Create decides anew (orders, shard table, shortest forms) is proven by making it once more.
        var difference = encoded.Span.CommonPrefixLength(manifest.Encoded.Span);
        return difference == encoded.Length && difference == manifest.Encoded.Length
            ? manifest
            : throw new ManifestException(
                $"the manifest is not in its canonical encoding: byte {difference} differs (order of files, tensors, metadata or shards, a shard that no file uses, or a longer form than needed)");
    }
}
