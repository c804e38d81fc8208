using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Store.Tests.References;

namespace P2PWeights.Store.Tests.Manifests;

public sealed class ManifestShelfTests
{
    [Fact]
    public async Task Saved_manifest_is_found_after_a_restart_until_removed()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync();
        var manifest = NewManifest(fixture);
        await store.SaveManifestAsync(manifest, StoreFixture.Deadline);
        await store.SaveManifestAsync(manifest, StoreFixture.Deadline);

        store = await fixture.ReopenAsync();
        Assert.Equal([manifest.Digest], store.Manifests);
        Assert.True(store.FindManifest(manifest.Digest)!.Encoded.Span.SequenceEqual(manifest.Encoded.Span));

        await store.RemoveManifestAsync(manifest.Digest, StoreFixture.Deadline);
        Assert.Null(store.FindManifest(manifest.Digest));
        store = await fixture.ReopenAsync();
        Assert.Empty(store.Manifests);
    }

    [Fact]
    public async Task Manifest_damaged_on_disk_is_not_returned()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync();
        var manifest = NewManifest(fixture);
        await store.SaveManifestAsync(manifest, StoreFixture.Deadline);
        await fixture.CloseAsync();
        ReferenceTests.Flip(Path.Combine(fixture.DataFolder, "manifests", manifest.Digest.ToString()), 20);

        store = await fixture.OpenAsync();

        Assert.Null(store.FindManifest(manifest.Digest));
        await store.SaveManifestAsync(manifest, StoreFixture.Deadline);
        Assert.NotNull(store.FindManifest(manifest.Digest));
    }

    [Fact]
    public async Task Manifest_that_cannot_be_read_for_a_while_is_kept()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync();
        var manifest = NewManifest(fixture);
        await store.SaveManifestAsync(manifest, StoreFixture.Deadline);
        store = await fixture.ReopenAsync();
        var path = Path.Combine(fixture.DataFolder, "manifests", manifest.Digest.ToString());
        File.Move(path, fixture["aside"]);

        // A folder cannot be read as a file, not even by root.
        Directory.CreateDirectory(path);
        Assert.Null(store.FindManifest(manifest.Digest));
        Directory.Delete(path);
        File.Move(fixture["aside"], path);

        Assert.NotNull(store.FindManifest(manifest.Digest));
    }

    private static Manifest NewManifest(StoreFixture fixture)
    {
        var shard = fixture.NewShard(1000).Shard;
        return Manifest.Create(Manifest.DefaultMaxShardBytes, [("a.bin", 1000, [shard])], [], ImmutableDictionary<string, string>.Empty);
    }
}
