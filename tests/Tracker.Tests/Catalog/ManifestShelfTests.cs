using P2PWeights.Store.Content;
using P2PWeights.Testing;
using P2PWeights.Tracker.Catalog;

namespace P2PWeights.Tracker.Tests.Catalog;

public sealed class ManifestShelfTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly ManualTime _time = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Put_wrong_digest_or_no_manifest_is_refused_and_leaves_nothing()
    {
        using var shelf = new ManifestShelf(_folder.Path, _time);
        var manifest = Make.Manifest("a");
        byte[] junk = [1, 2, 3];

        await Assert.ThrowsAsync<ManifestException>(() => PutAsync(shelf, Make.Digest("other"), manifest.Encoded));
        await Assert.ThrowsAsync<ManifestException>(() => PutAsync(shelf, Store.Hashing.Blake3.Hash(junk), junk));

        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public async Task Expire_takes_what_no_version_points_at_after_ten_minutes_without_use()
    {
        using var shelf = new ManifestShelf(_folder.Path, _time);
        Manifest[] manifests = [Make.Manifest("published"), Make.Manifest("used"), Make.Manifest("forgotten")];
        foreach (var manifest in manifests)
        {
            await PutAsync(shelf, manifest.Digest, manifest.Encoded);
        }

        _time.Advance(ManifestShelf.KeepUnreferenced / 2);
        Assert.NotNull(await shelf.LoadAsync(manifests[1].Digest));
        Assert.Equal(0, shelf.Expire(_ => false));
        _time.Advance(ManifestShelf.KeepUnreferenced / 2);

        Assert.Equal(1, shelf.Expire(digest => digest == manifests[0].Digest));
        Assert.Equal([true, true, false], manifests.Select(manifest => shelf.Contains(manifest.Digest)));
        Assert.Equal(2, Directory.GetFiles(_folder.Path).Length);
    }

    [Fact]
    public async Task Load_damaged_file_is_as_if_it_were_not_there_until_it_is_put_again()
    {
        using var shelf = new ManifestShelf(_folder.Path, _time);
        var manifest = Make.Manifest("a");
        await PutAsync(shelf, manifest.Digest, manifest.Encoded);
        var bytes = manifest.Encoded.ToArray();
        bytes[^1] ^= 1;
        await File.WriteAllBytesAsync(_folder[manifest.Digest.ToString()], bytes);

        Assert.Null(await shelf.LoadAsync(manifest.Digest));
        Assert.False(shelf.Contains(manifest.Digest));
        await PutAsync(shelf, manifest.Digest, manifest.Encoded);
        Assert.Equal(manifest.Shards.AsEnumerable(), (await shelf.LoadAsync(manifest.Digest))!.Shards);
    }

    [Fact]
    public async Task Open_finds_whole_manifests_and_clears_half_written_ones()
    {
        var manifest = Make.Manifest("a");
        using (var before = new ManifestShelf(_folder.Path, _time))
        {
            await PutAsync(before, manifest.Digest, manifest.Encoded);
        }

        await File.WriteAllTextAsync(_folder[$"{Make.Digest("b")}-1.tmp"], "half");

        using var again = new ManifestShelf(_folder.Path, _time);

        Assert.True(again.Contains(manifest.Digest));
        Assert.Single(Directory.GetFiles(_folder.Path));
    }

    private static async Task PutAsync(ManifestShelf shelf, Digest digest, ReadOnlyMemory<byte> bytes)
    {
        using var stream = new MemoryStream(bytes.ToArray());
        await shelf.PutAsync(digest, stream, CancellationToken.None);
    }
}
