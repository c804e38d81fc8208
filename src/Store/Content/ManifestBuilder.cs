using System.Collections.Immutable;
using System.Text;

namespace P2PWeights.Store.Content;

/// <summary>
/// Checks the parts of a manifest against each other and puts them into canonical order: the one place where the rules stand, for what is published and for what
/// is read. Files, then tensors, then metadata, each once.
/// </summary>
internal sealed class ManifestBuilder
{
    private const int MaxMetadataBytes = 1 << 20;

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly int _maxShardBytes;
    private readonly ImmutableArray<ShardInfo>.Builder _shards = ImmutableArray.CreateBuilder<ShardInfo>();
    private readonly Dictionary<Digest, int> _ordinals = [];
    private readonly Dictionary<string, int> _fileIndexes = new(StringComparer.Ordinal);
    private ImmutableArray<ManifestFile> _files = [];
    private ImmutableArray<TensorInfo> _tensors = [];
    private ImmutableSortedDictionary<string, string> _metadata = ImmutableSortedDictionary.Create<string, string>(Utf8Order.Instance);
    private long _totalBytes;
    private int _extents;

    public ManifestBuilder(int maxShardBytes)
    {
        if (maxShardBytes is < 1 or > Manifest.LargestShardBytes)
        {
            throw new ManifestException($"MaxShardBytes is {maxShardBytes}; 1 to {Manifest.LargestShardBytes} are allowed");
        }

        _maxShardBytes = maxShardBytes;
    }

    public void AddFiles(IEnumerable<(string Path, long Size, IReadOnlyList<ShardInfo> Shards)> files)
    {
        var sorted = files.ToArray();
        if (sorted.Length is 0 or > Manifest.MaxFiles)
        {
            throw new ManifestException($"a checkpoint has 1 to {Manifest.MaxFiles} files, not {sorted.Length}");
        }

        foreach (var file in sorted)
        {
            if (ManifestPath.Problem(file.Path) is { } problem)
            {
                throw new ManifestException(problem);
            }
        }

        if (ManifestPath.Collision(sorted.Select(file => file.Path)) is { } collision)
        {
            throw new ManifestException(collision);
        }

        Array.Sort(sorted, static (a, b) => Utf8Order.Instance.Compare(a.Path, b.Path));
        var builder = ImmutableArray.CreateBuilder<ManifestFile>(sorted.Length);
        foreach (var (path, size, shards) in sorted)
        {
            _fileIndexes.Add(path, builder.Count);
            builder.Add(new ManifestFile(path, size, Ordinals(path, size, shards)));
        }

        _files = builder.MoveToImmutable();
    }

    public void AddTensors(IEnumerable<(string Path, SafetensorsTensor Tensor)> tensors)
    {
        var builder = ImmutableArray.CreateBuilder<TensorInfo>();
        var names = new HashSet<(int File, string Name)>();
        foreach (var (path, tensor) in tensors)
        {
            if (!_fileIndexes.TryGetValue(path, out var file))
            {
                throw new ManifestException($"tensor {PrintableText.Quote(tensor.Name)} lies in {PrintableText.Quote(path)}, which is not a file of the checkpoint");
            }

            CheckTensor(tensor, _files[file]);
            if (!names.Add((file, tensor.Name)))
            {
                throw new ManifestException($"tensor {PrintableText.Quote(tensor.Name)} stands twice in {PrintableText.Quote(path)}");
            }

            if (builder.Count == Manifest.MaxTensors)
            {
                throw new ManifestException($"more than {Manifest.MaxTensors} tensors");
            }

            builder.Add(new TensorInfo(tensor.Name, tensor.DType, tensor.Shape, file, tensor.Offset, tensor.Length));
        }

        builder.Sort(static (a, b) =>
            a.File != b.File ? a.File.CompareTo(b.File)
            : a.Offset != b.Offset ? a.Offset.CompareTo(b.Offset)
            : Utf8Order.Instance.Compare(a.Name, b.Name));
        _tensors = builder.DrainToImmutable();
    }

    public void AddMetadata(IEnumerable<KeyValuePair<string, string>> metadata)
    {
        var builder = _metadata.ToBuilder();
        var bytes = 0L;
        foreach (var (key, value) in metadata)
        {
            bytes += CheckedBytes(key, "a metadata key", Manifest.MaxNameBytes);
            bytes += CheckedBytes(value, $"metadata {PrintableText.Quote(key)}", MaxMetadataBytes);
            if (bytes > MaxMetadataBytes || builder.Count == Manifest.MaxMetadataEntries)
            {
                throw new ManifestException($"metadata has more than {MaxMetadataBytes} bytes or {Manifest.MaxMetadataEntries} entries");
            }

            if (!builder.TryAdd(key, value))
            {
                throw new ManifestException($"metadata {PrintableText.Quote(key)} stands twice");
            }
        }

        _metadata = builder.ToImmutable();
    }

    public Manifest Build() => new(_maxShardBytes, _shards.DrainToImmutable(), _files, _tensors, _metadata);

    private ImmutableArray<int> Ordinals(string path, long size, IReadOnlyList<ShardInfo> shards)
    {
        if (size < 0 || size > long.MaxValue - _totalBytes)
        {
            throw new ManifestException($"{PrintableText.Quote(path)}: a size of {size} bytes is negative, or takes the checkpoint beyond 2^63 bytes");
        }

        if (shards.Count > Manifest.MaxExtents - _extents)
        {
            throw new ManifestException($"{PrintableText.Quote(path)}: more than {Manifest.MaxExtents} extents in all; cut into larger shards");
        }

        _totalBytes += size;
        _extents += shards.Count;
        var ordinals = ImmutableArray.CreateBuilder<int>(shards.Count);
        var covered = 0L;
        foreach (var shard in shards)
        {
            ordinals.Add(Ordinal(path, shard));
            covered += shard.Size;
        }

        return covered == size
            ? ordinals.MoveToImmutable()
            : throw new ManifestException($"{PrintableText.Quote(path)}: its extents add up to {covered} bytes, the file has {size}");
    }

    private int Ordinal(string path, ShardInfo shard)
    {
        if (shard.Size < 1 || shard.Size > _maxShardBytes)
        {
            throw new ManifestException($"{PrintableText.Quote(path)}: shard {shard.Digest} has {shard.Size} bytes; 1 to {_maxShardBytes} are allowed");
        }

        if (_ordinals.TryGetValue(shard.Digest, out var ordinal))
        {
            return _shards[ordinal].Size == shard.Size
                ? ordinal
                : throw new ManifestException($"{PrintableText.Quote(path)}: shard {shard.Digest} has {shard.Size} bytes here and {_shards[ordinal].Size} elsewhere");
        }

        _ordinals.Add(shard.Digest, _shards.Count);
        _shards.Add(shard);
        return _shards.Count - 1;
    }

    private static void CheckTensor(SafetensorsTensor tensor, ManifestFile file)
    {
        CheckedBytes(tensor.Name, "a tensor's name", Manifest.MaxNameBytes);
        CheckedBytes(tensor.DType, $"the dtype of tensor {PrintableText.Quote(tensor.Name)}", Manifest.MaxNameBytes);
        if (tensor.Shape.Length > Manifest.MaxDimensions || tensor.Shape.Any(dimension => dimension < 0))
        {
            throw new ManifestException($"tensor {PrintableText.Quote(tensor.Name)}: its shape has a negative dimension, or more than {Manifest.MaxDimensions}");
        }

        if (tensor.Offset < 0 || tensor.Length < 0 || tensor.Length > file.Size || tensor.Offset > file.Size - tensor.Length)
        {
            throw new ManifestException(
                $"tensor {PrintableText.Quote(tensor.Name)} at byte {tensor.Offset} with {tensor.Length} bytes does not lie inside {PrintableText.Quote(file.Path)} of {file.Size} bytes");
        }
    }

    private static int CheckedBytes(string text, string what, int maxBytes)
    {
        try
        {
            var bytes = StrictUtf8.GetByteCount(text);
            return bytes <= maxBytes ? bytes : throw new ManifestException($"{what} has {bytes} bytes, at most {maxBytes} are allowed");
        }
        catch (EncoderFallbackException e)
        {
            throw new ManifestException($"{what} is not valid Unicode: it has half a surrogate pair", e);
        }
    }
}
