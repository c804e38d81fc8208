using System.Collections.Frozen;

namespace P2PWeights.Cli.Synth;

/// <summary>
/// Writes a checkpoint in Hugging Face layout whose names, shapes and dtypes are those of a real model scaled down, and whose weights are noise: for demos, tests
/// and benchmarks where no real weights are at hand.
/// </summary>
internal static class SyntheticCheckpoint
{
    /// <summary>Data is made and written in blocks of this many bytes; each block has its own random numbers, so blocks do not depend on each other.</summary>
    private const int BlockBytes = 1 << 20;

    /// <summary>Writes the checkpoint; after a failure or a cancellation nothing of it is left.</summary>
    /// <param name="progress">Bytes written so far, headers and other files included; reported from several threads.</param>
    /// <exception cref="SynthException">The folder is not empty, or the size is too small.</exception>
    /// <exception cref="IOException">The operating system failed a write, for example because the disk is full.</exception>
    public static async Task<SynthReport> WriteAsync(SynthOptions options, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        var plan = SynthPlan.Fit(options.Layout, options.SizeBytes);
        var existed = Directory.Exists(options.Folder);
        if (File.Exists(options.Folder) || (existed && Directory.EnumerateFileSystemEntries(options.Folder).Any()))
        {
            throw new SynthException($"{options.Folder} is a file, or a folder that is not empty; give a new folder, or empty this one first");
        }

        Directory.CreateDirectory(options.Folder);
        var complete = false;
        try
        {
            var counter = new ByteCounter(progress);
            var changed = options.Change?.Choose(plan.WeightFiles) ?? [];
            await Parallel.ForEachAsync(
                plan.WeightFiles,
                cancellationToken,
                async (file, token) => await WriteWeightsAsync(options, changed, file, counter, token));
            foreach (var (name, bytes) in plan.TextFiles)
            {
                await File.WriteAllBytesAsync(Path.Combine(options.Folder, name), bytes, cancellationToken);
                counter.Add(bytes.Length);
            }

            complete = true;
            return Report(plan, counter.Total);
        }
        finally
        {
            if (!complete)
            {
                Remove(options.Folder, plan, existed);
            }
        }
    }

    private static async Task WriteWeightsAsync(
        SynthOptions options, FrozenSet<string> changed, SynthWeightFile file, ByteCounter counter, CancellationToken cancellationToken)
    {
        using var handle = File.OpenHandle(Path.Combine(options.Folder, file.Name), FileMode.CreateNew, FileAccess.Write);
        await RandomAccess.WriteAsync(handle, file.Header, 0, cancellationToken);
        counter.Add(file.Header.Length);
        var offset = (long)file.Header.Length;
        var buffer = new byte[BlockBytes];
        foreach (var tensor in file.Tensors)
        {
            var seed = NormalNoise.SeedOf(options.Seed, tensor.Name);
            if (changed.Contains(tensor.Name))
            {
                seed = NormalNoise.Mix(seed ^ NormalNoise.SeedOf(options.Change!.Seed, "changed"));
            }

            for (var done = 0L; done < tensor.Length; done += BlockBytes)
            {
                var block = buffer.AsMemory(0, (int)Math.Min(BlockBytes, tensor.Length - done));

                // Blocks draw fewer numbers than they have bytes, so block seeds that are a byte count apart never share any.
                NormalNoise.Fill(block.Span, tensor, seed + (ulong)done);
                await RandomAccess.WriteAsync(handle, block, offset, cancellationToken);
                offset += block.Length;
                counter.Add(block.Length);
            }
        }
    }

    private static SynthReport Report(SynthPlan plan, long bytes)
    {
        var tensors = plan.WeightFiles.SelectMany(file => file.Tensors).ToList();
        return new SynthReport(
            plan.WeightFiles.Length + plan.TextFiles.Count,
            plan.WeightFiles.Length,
            tensors.Count,
            tensors.Where(tensor => tensor.Values != SynthValues.Scale).Sum(tensor => tensor.Elements),
            bytes);
    }

    private static void Remove(string folder, SynthPlan plan, bool existed)
    {
        foreach (var name in plan.WeightFiles.Select(file => file.Name).Concat(plan.TextFiles.Keys))
        {
            File.Delete(Path.Combine(folder, name));
        }

        if (!existed)
        {
            Directory.Delete(folder);
        }
    }

    /// <summary>Bytes written by all threads together.</summary>
    private sealed class ByteCounter(IProgress<long>? progress)
    {
        private long _total;

        public long Total => Interlocked.Read(ref _total);

        public void Add(long bytes)
        {
            var total = Interlocked.Add(ref _total, bytes);
            progress?.Report(total);
        }
    }
}
