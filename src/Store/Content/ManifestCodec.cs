using System.Buffers;
using System.Collections.Immutable;
using P2PWeights.Store.Serialization;

namespace P2PWeights.Store.Content;

/// <summary>The bytes of a manifest, field by field as docs/protocol.md, "Manifest", lists them.</summary>
internal static class ManifestCodec
{
    private const int FormatVersion = 1;
    private const int ManifestFields = 7;
    private const int FileFields = 3;
    private const int TensorFields = 6;

    private static readonly MessagePackLimits Limits = new() { MaxBytes = Manifest.MaxEncodedBytes, MaxElements = Manifest.MaxEncodedBytes };

    public static ReadOnlyMemory<byte> Encode(Manifest manifest)
    {
        var output = new ArrayBufferWriter<byte>(1024 + (40 * manifest.Shards.Length) + (100 * manifest.Tensors.Length));
        var writer = new MessagePackWriter(output);
        writer.WriteArrayHeader(ManifestFields);
        writer.Write(FormatVersion);
        writer.Write(manifest.MaxShardBytes);
        WriteShards(ref writer, manifest.Shards);
        writer.WriteArrayHeader(manifest.Files.Length);
        foreach (var file in manifest.Files)
        {
            writer.WriteArrayHeader(FileFields);
            writer.Write(file.Path);
            writer.Write(file.Size);
            WriteRuns(ref writer, file.Shards);
        }

        writer.WriteArrayHeader(manifest.Tensors.Length);
        foreach (var tensor in manifest.Tensors)
        {
            WriteTensor(ref writer, tensor);
        }

        writer.WriteMapHeader(manifest.Metadata.Count);
        foreach (var (key, value) in manifest.Metadata)
        {
            writer.Write(key);
            writer.Write(value);
        }

        writer.Flush();
        return output.WrittenMemory;
    }

    /// <summary>Reads what <see cref="Encode"/> writes, in any valid MessagePack form; whether it was the canonical one is for the caller to compare.</summary>
    public static Manifest Decode(ReadOnlyMemory<byte> encoded)
    {
        if (encoded.Length > Manifest.MaxEncodedBytes)
        {
            throw new ManifestException($"the manifest has {encoded.Length} bytes, at most {Manifest.MaxEncodedBytes} are allowed");
        }

        var reader = new MessagePackReader(encoded, Limits);
        try
        {
            return Read(ref reader);
        }
        catch (MessagePackSerializationException e)
        {
            throw new ManifestException($"the manifest is not readable: {e.Message}", e);
        }
    }

    private static Manifest Read(ref MessagePackReader reader)
    {
        ExpectFields(ref reader, ManifestFields, "a manifest");
        var version = reader.ReadInt32();
        if (version != FormatVersion)
        {
            throw new ManifestException($"the manifest has format version {version}; this program reads version {FormatVersion}");
        }

        var builder = new ManifestBuilder(reader.ReadInt32());
        var shards = ReadShards(ref reader);
        var files = ReadFiles(ref reader, shards);
        var tensors = ReadTensors(ref reader, files);
        var metadata = ReadMetadata(ref reader);

        if (!reader.End)
        {
            throw new ManifestException($"bytes follow the manifest, from byte {reader.Consumed} on");
        }

        builder.AddFiles(files);
        builder.AddTensors(tensors);
        builder.AddMetadata(metadata);
        return builder.Build();
    }

    private static void WriteShards(ref MessagePackWriter writer, ImmutableArray<ShardInfo> shards)
    {
        writer.WriteBinHeader(shards.Length * Digest.Size);
        Span<byte> digest = stackalloc byte[Digest.Size];
        foreach (var shard in shards)
        {
            shard.Digest.CopyTo(digest);
            writer.WriteRaw(digest);
        }

        writer.WriteArrayHeader(shards.Length);
        foreach (var shard in shards)
        {
            writer.Write(shard.Size);
        }
    }

    private static ShardInfo[] ReadShards(ref MessagePackReader reader)
    {
        var digests = reader.ReadRequiredBytes().Span;
        var count = reader.ReadArrayHeader();
        if (digests.Length != (long)count * Digest.Size)
        {
            throw new ManifestException($"the shard table has {digests.Length} bytes of digests for {count} sizes");
        }

        var shards = new ShardInfo[count];
        for (var i = 0; i < count; i++)
        {
            shards[i] = new ShardInfo(new Digest(digests.Slice(i * Digest.Size, Digest.Size)), reader.ReadInt32());
        }

        return shards;
    }

    /// <summary>
    /// Ordinals as runs of consecutive ones: first, count, first, count... Shards are numbered in the order of their first use, so most files are one run.
    /// </summary>
    private static void WriteRuns(ref MessagePackWriter writer, ImmutableArray<int> ordinals)
    {
        var runs = new List<int>();
        for (var i = 0; i < ordinals.Length; i++)
        {
            if (i > 0 && ordinals[i] == ordinals[i - 1] + 1)
            {
                runs[^1]++;
            }
            else
            {
                runs.Add(ordinals[i]);
                runs.Add(1);
            }
        }

        writer.WriteArrayHeader(runs.Count);
        foreach (var number in runs)
        {
            writer.Write(number);
        }
    }

    private static (string Path, long Size, IReadOnlyList<ShardInfo> Shards)[] ReadFiles(ref MessagePackReader reader, ShardInfo[] table)
    {
        var files = new (string Path, long Size, IReadOnlyList<ShardInfo> Shards)[CheckedCount(reader.ReadArrayHeader(), Manifest.MaxFiles, "files")];
        var extents = 0;
        for (var i = 0; i < files.Length; i++)
        {
            ExpectFields(ref reader, FileFields, "a file");
            var path = reader.ReadRequiredString();
            var size = reader.ReadInt64();
            var shards = ReadRuns(ref reader, path, table, Manifest.MaxExtents - extents);
            extents += shards.Count;
            files[i] = (path, size, shards);
        }

        return files;
    }

    private static List<ShardInfo> ReadRuns(ref MessagePackReader reader, string path, ShardInfo[] table, int maxExtents)
    {
        var numbers = reader.ReadArrayHeader();
        if (numbers % 2 != 0)
        {
            throw new ManifestException($"{PrintableText.Quote(path)}: runs of shards come as pairs of numbers, not as {numbers}");
        }

        var shards = new List<ShardInfo>();
        for (var i = 0; i < numbers; i += 2)
        {
            var first = reader.ReadInt32();
            var count = reader.ReadInt32();
            if (first < 0 || count < 1 || count > table.Length - first)
            {
                throw new ManifestException($"{PrintableText.Quote(path)}: shards {first} and {count - 1L} after it are not in the table of {table.Length}");
            }

            // A run of ten bytes can stand for the whole table: bound what it grows to before growing.
            if (count > maxExtents - shards.Count)
            {
                throw new ManifestException($"{PrintableText.Quote(path)}: more than {Manifest.MaxExtents} extents in all");
            }

            shards.AddRange(table.AsSpan(first, count));
        }

        return shards;
    }

    private static void WriteTensor(ref MessagePackWriter writer, TensorInfo tensor)
    {
        writer.WriteArrayHeader(TensorFields);
        writer.Write(tensor.Name);
        writer.Write(tensor.DType);
        writer.WriteArrayHeader(tensor.Shape.Length);
        foreach (var dimension in tensor.Shape)
        {
            writer.Write(dimension);
        }

        writer.Write(tensor.File);
        writer.Write(tensor.Offset);
        writer.Write(tensor.Length);
    }

    private static (string Path, SafetensorsTensor Tensor)[] ReadTensors(
        ref MessagePackReader reader, (string Path, long Size, IReadOnlyList<ShardInfo> Shards)[] files)
    {
        var tensors = new (string Path, SafetensorsTensor Tensor)[CheckedCount(reader.ReadArrayHeader(), Manifest.MaxTensors, "tensors")];
        for (var i = 0; i < tensors.Length; i++)
        {
            ExpectFields(ref reader, TensorFields, "a tensor");
            var name = reader.ReadRequiredString();
            var dtype = reader.ReadRequiredString();
            var shape = ReadShape(ref reader);
            var file = reader.ReadInt32();
            if (file < 0 || file >= files.Length)
            {
                throw new ManifestException($"tensor {PrintableText.Quote(name)}: file {file} is not one of the {files.Length}");
            }

            var offset = reader.ReadInt64();
            tensors[i] = (files[file].Path, new SafetensorsTensor(name, dtype, shape, offset, reader.ReadInt64()));
        }

        return tensors;
    }

    private static ImmutableArray<long> ReadShape(ref MessagePackReader reader)
    {
        var dimensions = CheckedCount(reader.ReadArrayHeader(), Manifest.MaxDimensions, "dimensions of a tensor");
        var shape = ImmutableArray.CreateBuilder<long>(dimensions);
        for (var i = 0; i < dimensions; i++)
        {
            shape.Add(reader.ReadInt64());
        }

        return shape.MoveToImmutable();
    }

    private static KeyValuePair<string, string>[] ReadMetadata(ref MessagePackReader reader)
    {
        var metadata = new KeyValuePair<string, string>[CheckedCount(reader.ReadMapHeader(), Manifest.MaxMetadataEntries, "metadata entries")];
        for (var i = 0; i < metadata.Length; i++)
        {
            var key = reader.ReadRequiredString();
            metadata[i] = new(key, reader.ReadRequiredString());
        }

        return metadata;
    }

    private static int CheckedCount(int count, int max, string what) =>
        count <= max ? count : throw new ManifestException($"{count} {what} are more than the {max} allowed");

    private static void ExpectFields(ref MessagePackReader reader, int fields, string what)
    {
        var start = reader.Consumed;
        var count = reader.ReadArrayHeader();
        if (count != fields)
        {
            throw new ManifestException($"byte {start}: {what} has {fields} fields, not {count}");
        }
    }
}
