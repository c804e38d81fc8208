using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Store.Tests.Folders;

/// <summary>A small checkpoint with its bytes: its manifest, cut every <see cref="ShardBytes"/>, and its shards.</summary>
internal sealed class TestCheckpoint
{
    public const int ShardBytes = 64 << 10;

    private readonly Dictionary<Digest, byte[]> _shards = [];

    public TestCheckpoint(params (string Path, byte[] Bytes)[] files)
    {
        Files = files.ToDictionary(file => file.Path, file => file.Bytes);
        Manifest = Manifest.Create(ShardBytes, files.Select(file => (file.Path, (long)file.Bytes.Length, (IReadOnlyList<ShardInfo>)Cut(file.Bytes))), [], []);
    }

    public Manifest Manifest { get; }

    public IReadOnlyDictionary<string, byte[]> Files { get; }

    public string PartialSuffix => $".{Manifest.Digest.ToString()[..16]}.partial";

    public byte[] BytesOf(int ordinal) => _shards[Manifest.Shards[ordinal].Digest];

    /// <summary>Writes the files as a finished folder would hold them.</summary>
    public void WriteTo(string folder)
    {
        foreach (var (path, bytes) in Files)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(folder, path))!);
            File.WriteAllBytes(Path.Combine(folder, path), bytes);
        }
    }

    /// <summary>Writes the shards of some ordinals, as a pull does.</summary>
    public async Task PullAsync(CheckpointFolder folder, IEnumerable<int> ordinals)
    {
        foreach (var ordinal in ordinals)
        {
            Assert.NotEmpty(await folder.WriteShardAsync(Manifest.Shards[ordinal], BytesOf(ordinal), CancellationToken.None));
        }
    }

    /// <summary>Opens, scans, pulls what is missing and completes. Returns the ordinals that were pulled.</summary>
    public async Task<int[]> PullAllAsync(string path)
    {
        await using var folder = CheckpointFolder.Open(path, Manifest);
        var inPlace = await folder.ScanAsync(null, CancellationToken.None);
        var missing = Enumerable.Range(0, Manifest.Shards.Length).Where(ordinal => !inPlace[ordinal]).ToArray();
        await PullAsync(folder, missing);
        await folder.CompleteAsync(CancellationToken.None);
        return missing;
    }

    /// <summary>That a folder holds exactly these files, byte for byte.</summary>
    public void AssertIsIn(string folder)
    {
        var found = Directory.EnumerateFiles(folder, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0 });
        Assert.Equal(Files.Keys.Order(StringComparer.Ordinal), found.Select(path => Path.GetRelativePath(folder, path)).Order(StringComparer.Ordinal));
        Assert.All(Files, file => Assert.Equal(file.Value, File.ReadAllBytes(Path.Combine(folder, file.Key))));
    }

    private ShardInfo[] Cut(byte[] bytes) =>
        bytes.Chunk(ShardBytes).Select(shard =>
        {
            var digest = Blake3.Hash(shard);
            _shards[digest] = shard;
            return new ShardInfo(digest, shard.Length);
        }).ToArray();
}
