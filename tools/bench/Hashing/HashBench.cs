using System.CommandLine;
using System.Diagnostics;
using P2PWeights.Bench.Measuring;
using P2PWeights.Native.Posix;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Bench.Hashing;

/// <summary><c>bench hash</c>: our BLAKE3 against <c>b3sum</c>, on the same file in the page cache.</summary>
internal static class HashBench
{
    private const string Unit = "GB/s";
    private const int ShardBytes = 16 << 20;

    /// <summary>Mapped at a time: many pages per system call.</summary>
    private const int MappedPartBytes = 2 << 20;

    /// <summary>Read at a time, as the publisher does.</summary>
    private const int ReadPartBytes = 1 << 20;

    public static Command CreateCommand()
    {
        var sizes = CommonOptions.Sizes("--size", "Sizes of the file to hash.", "1GiB");
        var command = new Command("hash", "BLAKE3 on one thread and on all cores, against b3sum.") { sizes };
        command.SetAction((arguments, cancellationToken) =>
            RunAsync(arguments.GetRequiredValue(sizes), arguments.GetValue(CommonOptions.Runs), FigureWriter.For(arguments), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(long[] sizes, int runs, FigureWriter writer, CancellationToken cancellationToken)
    {
        writer.Explain("mapped/1-thread: both map the file and hash it to one digest; b3sum --num-threads 1.");
        writer.Explain("read/1-thread: both read the file in pieces and hash it to one digest; b3sum --num-threads 1 --no-mmap.");
        writer.Explain($"mapped/all-cores: both map the file and hash on {Environment.ProcessorCount} cores, b3sum to one digest, ours to one per {ByteSize.Format(ShardBytes)}, as shards are.");
        writer.Explain("publish/all-cores: ours is what publish does with a file: reads, never maps, and hashes shards on all cores; b3sum as before.");
        writer.Explain("b3sum's time is that of the process, less what it takes for an empty file. The file is in tmpfs, so no disk is measured.");
        foreach (var size in sizes)
        {
            SharedMemoryFolder.RequireFree(size);
            using var folder = new SharedMemoryFolder();
            var path = folder.CreateRandomFile("data", size);
            var b3sum = await B3Sum.CreateAsync(folder, cancellationToken);
            await RequireEqualDigestsAsync(path, cancellationToken);

            var label = sizes.Length == 1 ? "" : $"/{Label(size)}";
            var allThreads = $"{Environment.ProcessorCount}";
            await CompareAsync("mapped/1-thread", _ => HashMapped(path), ["--num-threads", "1"]);
            await CompareAsync("read/1-thread", _ => HashRead(path), ["--num-threads", "1", "--no-mmap"]);
            await CompareAsync("mapped/all-cores", token => HashMappedShards(path, token), ["--num-threads", allThreads]);
            await CompareAsync("publish/all-cores", token => HashForPublishAsync(path, size, token), ["--num-threads", allThreads]);

            async Task CompareAsync(string name, Func<CancellationToken, Task> ours, string[] options) => writer.Write(await Rounds.MeasureAsync(
                Unit,
                runs,
                async token => new Sample(await RateAsync(size, () => ours(token))),
                [($"hash/{name}{label}", async token => new Sample(size / 1e9 / await b3sum.SecondsAsync(path, options, token)))],
                cancellationToken));
        }

        MeasureBuffers(writer);
        return 0;
    }

    private static async Task RequireEqualDigestsAsync(string path, CancellationToken cancellationToken)
    {
        var theirs = await B3Sum.DigestAsync(path, cancellationToken);
        foreach (var ours in new[] { await HashMapped(path), await HashRead(path) })
        {
            if (ours.ToString() != theirs)
            {
                throw new BenchException($"our digest {ours} is not b3sum's {theirs}: the figures would mean nothing");
            }
        }
    }

    /// <summary>One digest of a whole file through a mapping, on this thread.</summary>
    private static Task<Digest> HashMapped(string path)
    {
        using var file = File.OpenHandle(path);
        using var mapping = MemoryMapping.Create(file, 0, RandomAccess.GetLength(file), writable: false, shared: true);
        var hasher = new Blake3Hasher();
        foreach (var (offset, length) in PartsOf(mapping.Length, MappedPartBytes))
        {
            mapping.TryPopulate(offset, length);
            hasher.Update(mapping.GetMemory(offset, length).Span);
        }

        return Task.FromResult(hasher.Finish());
    }

    /// <summary>One digest of a whole file through a buffer, on this thread.</summary>
    private static Task<Digest> HashRead(string path)
    {
        using var file = File.OpenHandle(path);
        var hasher = new Blake3Hasher();
        var buffer = new byte[ReadPartBytes];
        for (var offset = 0L; ;)
        {
            var read = RandomAccess.Read(file, buffer, offset);
            if (read == 0)
            {
                return Task.FromResult(hasher.Finish());
            }

            hasher.Update(buffer.AsSpan(0, read));
            offset += read;
        }
    }

    /// <summary>A digest per shard through one mapping, on all cores.</summary>
    private static Task HashMappedShards(string path, CancellationToken cancellationToken)
    {
        using var file = File.OpenHandle(path);
        using var mapping = MemoryMapping.Create(file, 0, RandomAccess.GetLength(file), writable: false, shared: true);
        Parallel.ForEach(PartsOf(mapping.Length, ShardBytes), new ParallelOptions { CancellationToken = cancellationToken }, shard =>
        {
            var hasher = new Blake3Hasher();
            foreach (var (offset, length) in PartsOf(shard.Length, MappedPartBytes))
            {
                mapping.TryPopulate(shard.Offset + offset, length);
                hasher.Update(mapping.GetMemory(shard.Offset + offset, length).Span);
            }

            hasher.Finish();
        });
        return Task.CompletedTask;
    }

    /// <summary>A digest per shard the way the publisher gets them.</summary>
    private static async Task HashForPublishAsync(string path, long size, CancellationToken cancellationToken)
    {
        var lengths = PartsOf(size, ShardBytes).Select(part => part.Length).ToArray();
        using var file = File.OpenHandle(path);
        await FileHasher.HashAsync(file, path, FileIdentity.Of(file), lengths, onExtent: null, progress: null, cancellationToken);
    }

    private static IEnumerable<(long Offset, int Length)> PartsOf(long length, int partBytes)
    {
        for (var offset = 0L; offset < length; offset += partBytes)
        {
            yield return (offset, (int)Math.Min(partBytes, length - offset));
        }
    }

    /// <summary>What the arithmetic alone reaches: buffers that are in the cache already, one thread, one piece after the other.</summary>
    private static void MeasureBuffers(FigureWriter writer)
    {
        const int total = 256 << 20;
        foreach (var piece in new[] { 1 << 10, 16 << 10, 64 << 10, 1 << 20 })
        {
            var data = new byte[piece];
            var hasher = new Blake3Hasher();
            writer.Info($"hash/buffer/{Label(piece)}", BestOf(() => Repeat(() => Blake3.Hash(data))), Unit);
            writer.Info($"hash/pieces/{Label(piece)}", BestOf(() => Repeat(() => hasher.Update(data))), Unit);

            double Repeat(Action action) => Rate(total, () =>
            {
                for (var done = 0; done < total; done += piece)
                {
                    action();
                }
            });
        }

        static double BestOf(Func<double> run) => Enumerable.Range(0, 5).Max(_ => run());
    }

    /// <summary>A size as a part of a figure's name.</summary>
    private static string Label(long bytes) => ByteSize.Format(bytes).Replace(" ", "", StringComparison.Ordinal);

    private static double Rate(long bytes, Action action)
    {
        var started = Stopwatch.GetTimestamp();
        action();
        return bytes / 1e9 / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static async Task<double> RateAsync(long bytes, Func<Task> action)
    {
        var started = Stopwatch.GetTimestamp();
        await action();
        return bytes / 1e9 / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }
}
