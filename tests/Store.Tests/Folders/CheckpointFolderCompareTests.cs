using P2PWeights.Store.Folders;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Folders;

public sealed class CheckpointFolderCompareTests : IDisposable
{
    private const int ShardBytes = TestCheckpoint.ShardBytes;

    private readonly TempFolder _temp = new();
    private readonly TestCheckpoint _checkpoint = new(
        ("a.bin", new Seeded(1).Bytes((3 * ShardBytes) + 10)), ("b/c.bin", new Seeded(2).Bytes(2 * ShardBytes)), ("empty", []));

    public CheckpointFolderCompareTests() => _checkpoint.WriteTo(_temp.Path);

    public void Dispose() => _temp.Dispose();

    [Fact]
    public async Task Equal_folder_has_no_differences() => Assert.Empty(await CompareAsync());

    [Fact]
    public async Task Every_differing_extent_is_named()
    {
        Flip("a.bin", 5);
        Flip("a.bin", 3 * ShardBytes);
        Flip("b/c.bin", ShardBytes);

        Assert.Equal(
            [("a.bin", 0L, (long)ShardBytes), ("a.bin", 3 * ShardBytes, 10), ("b/c.bin", ShardBytes, ShardBytes)],
            (await CompareAsync()).Select(difference =>
            {
                Assert.Equal(DifferenceKind.Bytes, difference.Kind);
                return (difference.Path, difference.Offset, difference.Length);
            }));
    }

    [Fact]
    public async Task Sizes_missing_unfinished_and_foreign_files_are_named()
    {
        using (var longer = File.OpenHandle(_temp["a.bin"], FileMode.Open, FileAccess.ReadWrite))
        {
            RandomAccess.SetLength(longer, (3 * ShardBytes) + 11);
        }

        File.Move(_temp["b/c.bin"], _temp["b/c.bin" + _checkpoint.PartialSuffix]);
        File.Delete(_temp["empty"]);
        File.WriteAllText(_temp["b/.extra"], "x");
        Directory.CreateDirectory(_temp["more"]);

        Assert.Equal(
            [
                ("b/c.bin", DifferenceKind.Missing), ("empty", DifferenceKind.Missing), ("a.bin", DifferenceKind.Size),
                ("more", DifferenceKind.Foreign), ("b/.extra", DifferenceKind.Foreign),
            ],
            (await CompareAsync()).Select(difference => (difference.Path, difference.Kind)));
        Assert.Contains("unfinished", (await CompareAsync())[0].Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Shorter_file_is_compared_up_to_its_end()
    {
        Flip("a.bin", ShardBytes);
        using (var shorter = File.OpenHandle(_temp["a.bin"], FileMode.Open, FileAccess.ReadWrite))
        {
            RandomAccess.SetLength(shorter, (2 * ShardBytes) + 1);
        }

        Assert.Equal(
            [(DifferenceKind.Size, -1L), (DifferenceKind.Bytes, ShardBytes)],
            (await CompareAsync()).Select(difference => (difference.Kind, difference.Offset)));
    }

    [Fact]
    public async Task Symlink_in_place_of_a_file_is_not_followed()
    {
        File.Move(_temp["a.bin"], _temp["b/moved"]);
        File.CreateSymbolicLink(_temp["a.bin"], "b/moved");
        Assert.Equal(
            [("a.bin", DifferenceKind.Missing), ("a.bin", DifferenceKind.Foreign), ("b/moved", DifferenceKind.Foreign)],
            (await CompareAsync()).Select(difference => (difference.Path, difference.Kind)));
    }

    [Fact]
    public async Task Missing_folder_is_an_error_that_names_it()
    {
        var error = await Assert.ThrowsAsync<StoreException>(() => CheckpointFolder.CompareAsync(_temp["nothing"], _checkpoint.Manifest, null, CancellationToken.None));
        Assert.Equal(StoreError.NotAllowed, error.Error);
        Assert.Contains(_temp["nothing"], error.Message, StringComparison.Ordinal);
    }

    private Task<IReadOnlyList<FolderDifference>> CompareAsync() => CheckpointFolder.CompareAsync(_temp.Path, _checkpoint.Manifest, null, CancellationToken.None);

    private void Flip(string path, long offset)
    {
        using var file = File.OpenHandle(_temp[path], FileMode.Open, FileAccess.ReadWrite);
        var flipped = new byte[1];
        RandomAccess.Read(file, flipped, offset);
        flipped[0] ^= 1;
        RandomAccess.Write(file, flipped, offset);
    }
}
