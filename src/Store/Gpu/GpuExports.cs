using System.Buffers;
using P2PWeights.Native.Cuda;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;
using P2PWeights.Store.Serialization;

namespace P2PWeights.Store.Gpu;

/// <summary>One GPU arena, as it is told to other processes of the host.</summary>
/// <param name="Device">See <see cref="IGpuArena.Device"/>.</param>
/// <param name="Bytes">Bytes of the arena.</param>
/// <param name="Handle">See <see cref="IGpuArena.Handle"/>.</param>
internal readonly record struct GpuExport(string Device, long Bytes, ReadOnlyMemory<byte> Handle)
{
    private const string CudaPrefix = "GPU-";

    /// <summary>Whether it is a GPU's, and not the host's memory in the place of one.</summary>
    public bool IsCuda => Device.StartsWith(CudaPrefix, StringComparison.Ordinal);

    /// <summary>Whether the handle has the length of those of its kind; any name may be tried.</summary>
    public bool IsOpenable => !IsCuda || Handle.Length == CudaMemory.HandleBytes;
}

/// <summary>
/// The file <c>gpu</c> beside a node's arena, in a folder that nobody but the node's user can look into: by what handles its GPU arenas are opened. An opened handle gives the right to
/// write as well as to read, so it is given to nobody who could not do that to the node's memory tier too, and crosses no wire. The arena's nonce in it says which process wrote it.
/// MessagePack: version 1, nonce, then an array of device, bytes and handle per GPU.
/// </summary>
internal static class GpuExports
{
    public const string FileName = "gpu";

    public const int MaxHandleBytes = 256;

    private const int Version = 1;
    private const int MaxBytes = 64 << 10;

    // A huge page: the arena's file system may be a hugetlbfs, which has no smaller files, and no write.
    private const int FileBytes = 2 << 20;
    private const int NonceBytes = 16;

    private static readonly MessagePackLimits Limits = new() { MaxDepth = 3, MaxBytes = MaxHandleBytes, MaxElements = GpuMemory.MaxGpus };

    /// <summary>Where the file of an arena is.</summary>
    public static string PathOf(string arenaPath) => Path.Combine(Path.GetDirectoryName(arenaPath)!, FileName);

    /// <summary>Removes the file, and those of memory in the place of a GPU's, which a killed process left in its arena's folder.</summary>
    public static void Remove(string arenaFolder)
    {
        foreach (var path in Directory.GetFiles(arenaFolder, FileName).Concat(Directory.GetFiles(arenaFolder, FileName + "-host-*")))
        {
            File.Delete(path);
        }
    }

    /// <exception cref="IOException">It cannot be written.</exception>
    public static void Write(ArenaInfo arena, IReadOnlyList<GpuExport> gpus)
    {
        var bytes = new ArrayBufferWriter<byte>();
        var writer = new MessagePackWriter(bytes);
        writer.WriteArrayHeader(3);
        writer.Write(Version);
        writer.Write(arena.Nonce.ToByteArray());
        writer.WriteArrayHeader(gpus.Count);
        foreach (var gpu in gpus)
        {
            writer.WriteArrayHeader(3);
            writer.Write(gpu.Device);
            writer.Write(gpu.Bytes);
            writer.Write(gpu.Handle.Span);
        }

        writer.Flush();
        var path = PathOf(arena.Path);
        File.Delete(path);
        using var file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite);
        PosixFile.Allocate(file, 0, FileBytes);
        using var mapping = MemoryMapping.Create(file, 0, FileBytes, writable: true, shared: true);
        bytes.WrittenMemory.CopyTo(mapping.GetMemory(0, MaxBytes));
    }

    /// <summary>What the process wrote that has another node's arena open; null with a reason for people when there is nothing, or it is not that process's.</summary>
    /// <param name="nonce">The nonce of that arena.</param>
    public static IReadOnlyList<GpuExport>? TryRead(string arenaPath, Guid nonce, out string? problem)
    {
        var path = PathOf(arenaPath);
        try
        {
            using var file = PosixFile.OpenRead(path, followSymlinks: false);
            var bytes = new byte[Math.Min(RandomAccess.GetLength(file), MaxBytes)];
            var length = RandomAccess.Read(file, bytes, 0);
            return Read(bytes.AsMemory(0, length), nonce, path, out problem);
        }
        catch (IOException failure)
        {
            problem = $"it shares no GPU memory: {failure.Message}";
        }
        catch (MessagePackSerializationException failure)
        {
            problem = $"{path} is damaged: {failure.Message}";
        }

        return null;
    }

    private static List<GpuExport>? Read(ReadOnlyMemory<byte> bytes, Guid nonce, string path, out string? problem)
    {
        var reader = new MessagePackReader(bytes, Limits);
        if (reader.ReadArrayHeader() < 3 || reader.ReadInt32() != Version)
        {
            problem = $"{path} is of another version";
            return null;
        }

        var written = reader.ReadRequiredBytes();
        if (written.Length != NonceBytes || new Guid(written.Span) != nonce)
        {
            problem = $"{path} was not written by the process that has the arena open";
            return null;
        }

        var gpus = new List<GpuExport>();
        for (var left = reader.ReadArrayHeader(); left > 0; left--)
        {
            var fields = reader.ReadArrayHeader();
            var gpu = new GpuExport(reader.ReadRequiredString(), reader.ReadInt64(), reader.ReadRequiredBytes().ToArray());
            if (fields != 3 || gpu.Bytes <= 0 || !gpu.IsOpenable)
            {
                throw new MessagePackSerializationException($"GPU {gpus.Count} has {fields} fields, {gpu.Bytes} bytes and a handle of {gpu.Handle.Length}");
            }

            gpus.Add(gpu);
        }

        problem = null;
        return gpus;
    }
}
