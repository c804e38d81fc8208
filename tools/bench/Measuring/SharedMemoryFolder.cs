namespace P2PWeights.Bench.Measuring;

/// <summary>A folder in /dev/shm, so that no disk is measured; removed at the end.</summary>
internal sealed class SharedMemoryFolder : IDisposable
{
    private const string Root = "/dev/shm";

    /// <param name="suffix">Tells apart the folders of one process.</param>
    public SharedMemoryFolder(string suffix = "")
    {
        Path = System.IO.Path.Combine(Root, $"p2pw-bench-{Environment.ProcessId}{suffix}");
        Directory.CreateDirectory(Path);
    }

    public string Path { get; }

    /// <summary>A path inside the folder.</summary>
    public string this[string name] => System.IO.Path.Combine(Path, name);

    /// <summary>Refuses to fill what the machine needs to go on.</summary>
    /// <exception cref="BenchException">Less than that is free.</exception>
    public static void RequireFree(long bytes)
    {
        var free = new DriveInfo(Root).AvailableFreeSpace;
        if (free < bytes)
        {
            throw new BenchException($"{Root} has {free >> 20} MiB free and this benchmark needs {bytes >> 20}: free some, or measure a smaller size");
        }
    }

    /// <summary>Writes a file of random bytes.</summary>
    public string CreateRandomFile(string name, long length)
    {
        var random = new Random();
        var buffer = new byte[1 << 20];
        using var file = File.Create(this[name], bufferSize: 0);
        for (var left = length; left > 0;)
        {
            var part = (int)Math.Min(left, buffer.Length);
            random.NextBytes(buffer.AsSpan(0, part));
            file.Write(buffer, 0, part);
            left -= part;
        }

        return this[name];
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
