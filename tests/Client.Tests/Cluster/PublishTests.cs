using System.Buffers.Binary;
using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.Cluster;

public sealed class PublishTests
{
    public static TheoryData<string, string> BadHeaders => new()
    {
        { "length past the end", "length-past-end" },
        { "length of 2^63", "length-huge" },
        { "100 MB of junk", "junk" },
        { "truncated", "truncated" },
        { "not JSON", "not-json" },
        { "overlap", """{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[8],"data_offsets":[4,12]},"c":{"dtype":"U8","shape":[4],"data_offsets":[12,16]}}""" },
        { "gap", """{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[8],"data_offsets":[8,16]}}""" },
        { "data left over", """{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""" },
        { "duplicate names", """{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[8],"data_offsets":[8,16]}}""" },
        { "dtype against bytes", """{"a":{"dtype":"F32","shape":[16],"data_offsets":[0,16]}}""" },
        { "shape of 2^63", """{"a":{"dtype":"U8","shape":[9223372036854775807,9223372036854775807],"data_offsets":[0,16]}}""" },
    };

    [Fact]
    public async Task Published_folder_is_listed_shown_and_pulled_byte_for_byte()
    {
        await using var cluster = await TestCluster.StartAsync();
        var (a, b) = (await cluster.StartNodeAsync("a"), await cluster.StartNodeAsync("b"));
        var source = cluster.WriteCheckpoint();

        var published = await a.PublishAsync(source, tags: ["latest"]);
        var pulled = await b.PullAsync(cluster.Folder["target"], "org/model@latest");

        Assert.False(published.AlreadyPublished);
        Assert.Equal((8, 8, published.Shards), (published.Files, published.Tensors, published.NewShards));
        Assert.Equal([TestCluster.Checkpoint], await cluster.CatalogAsync());
        Assert.Equal((TestCluster.Checkpoint, published.Manifest), (pulled.Checkpoint, pulled.Manifest));
        Assert.Equal((pulled.Transfer.BytesTotal, 0), (pulled.Transfer.BytesFetched, pulled.Transfer.BytesReused));
        cluster.AssertSame(source, cluster.Folder["target"]);
        Assert.Empty((await b.VerifyAsync(cluster.Folder["target"], TestCluster.Checkpoint, null, default)).Differences);

        var details = await b.ShowAsync(TestCluster.Checkpoint, default);
        Assert.Equal("latest", Assert.Single(details.Info.Tags));
        Assert.Contains(details.Tensors, tensor => tensor is { Name: "model.layers.0.mlp.down_proj.weight", DType: "F8_E4M3" });
        Assert.Contains(details.Files, file => file is { Path: "empty", Size: 0, Shards: 0 });
    }

    [Fact]
    public async Task Copy_serves_on_after_the_folder_is_gone()
    {
        await using var cluster = await TestCluster.StartAsync();
        var (a, b) = (await cluster.StartNodeAsync("a"), await cluster.StartNodeAsync("b"));
        await a.PublishAsync(cluster.WriteCheckpoint(), copy: true);
        Directory.Move(cluster.Folder["source"], cluster.Folder["moved"]);

        await b.PullAsync(cluster.Folder["target"]);

        cluster.AssertSame(cluster.Folder["moved"], cluster.Folder["target"]);
    }

    [Fact]
    public async Task Same_content_again_succeeds_and_says_so()
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a");
        var source = cluster.WriteCheckpoint();
        var first = await a.PublishAsync(source);

        var second = await a.PublishAsync(source);

        Assert.True(second.AlreadyPublished);
        Assert.Equal((first.Manifest, 0), (second.Manifest, second.NewShards));
    }

    [Fact]
    public async Task Two_publishers_of_the_same_content_at_once_both_succeed()
    {
        await using var cluster = await TestCluster.StartAsync();
        var (a, b) = (await cluster.StartNodeAsync("a"), await cluster.StartNodeAsync("b"));
        var source = cluster.WriteCheckpoint();

        var reports = await Task.WhenAll(a.PublishAsync(source), b.PublishAsync(source));

        Assert.Equal(reports[0].Manifest, reports[1].Manifest);
        Assert.Single(await cluster.CatalogAsync());
        await cluster.UntilAsync(async () => (await a.ListAsync(null, default))[0].CompletePeers == 2, "both publishers are complete peers");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Other_content_under_the_name_is_refused_with_what_to_do(bool sameSize)
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a");
        var first = await a.PublishAsync(cluster.WriteCheckpoint());
        var other = cluster.WriteCheckpoint("other");
        if (!sameSize)
        {
            await File.WriteAllTextAsync(Path.Combine(other, "more"), "more");
        }

        var refused = await NodeCalls.FailsAsync(a.PublishAsync(other), NodeError.NotAllowed);

        Assert.Contains(first.Manifest.ToString(), refused.Message, StringComparison.Ordinal);
        Assert.Contains($"p2pw rm {TestCluster.Checkpoint}", refused.Message, StringComparison.Ordinal);
        Assert.Equal(first.Manifest, (await a.ListAsync(null, default)).Single().Manifest);
    }

    [Fact]
    public async Task Version_that_is_a_tag_is_refused()
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a");
        await a.PublishAsync(cluster.WriteCheckpoint(), tags: ["latest"]);

        var refused = await NodeCalls.FailsAsync(a.PublishAsync(cluster.Folder["source"], "org/model@latest"), NodeError.Usage);

        Assert.Contains("org/model@latest is a tag of org/model@v1", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("v1", "a version")]
    [InlineData("v2", "own name")]
    [InlineData("a tag", "cannot be a tag")]
    public async Task Tag_that_cannot_be_one_is_refused_before_anything_is_published(string tag, string reason)
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a");
        await a.PublishAsync(cluster.WriteCheckpoint(bytes: 1 << 20));

        var refused = await NodeCalls.FailsAsync(a.PublishAsync(cluster.WriteCheckpoint("other", bytes: 1 << 20), "org/model@v2", tags: [tag]), NodeError.Usage);

        Assert.Contains($"'{tag}'", refused.Message, StringComparison.Ordinal);
        Assert.Contains(reason, refused.Message, StringComparison.Ordinal);
        Assert.Equal([TestCluster.Checkpoint], await cluster.CatalogAsync());
    }

    [Fact]
    public async Task List_of_what_is_no_name_is_refused()
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a");

        await NodeCalls.FailsAsync(a.ListAsync("no name", default), NodeError.Usage);
    }

    [Theory]
    [InlineData("no-version")]
    [InlineData("a@b@c")]
    [InlineData("../m@v1")]
    [InlineData("m@")]
    public async Task Bad_name_is_refused(string name)
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a");

        await NodeCalls.FailsAsync(a.PublishAsync(cluster.WriteCheckpoint(), name), NodeError.Usage);

        Assert.Empty(await cluster.CatalogAsync());
    }

    [Fact]
    public async Task Folder_that_cannot_be_published_is_refused_with_the_reason()
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a");
        var folder = cluster.Folder;
        Directory.CreateDirectory(folder["empty"]);
        Directory.CreateDirectory(folder["loop"]);
        File.CreateSymbolicLink(folder["loop/self"], folder["loop/self"]);
        Directory.CreateDirectory(folder["up"]);
        File.CreateSymbolicLink(folder["up/again"], folder["up"]);
        Directory.CreateDirectory(folder["forbidden"]);
        await File.WriteAllTextAsync(folder["forbidden/back\\slash"], "x");
        await File.WriteAllTextAsync(folder["file"], "x");

        await RefusedAsync(folder["missing"], "missing");
        await RefusedAsync(folder["empty"], "empty");
        await RefusedAsync(folder["loop"], "self");
        await RefusedAsync(folder["up"], "again");
        await RefusedAsync(folder["forbidden"], "back\\slash");
        await RefusedAsync(folder["file"], "file");
        await RefusedAsync("relative", "absolute");

        Assert.Empty(await cluster.CatalogAsync());

        async Task RefusedAsync(string path, string named)
        {
            var refused = await NodeCalls.FailsAsync(a.PublishAsync(path), NodeError.Usage);
            Assert.Contains(named, refused.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Unreadable_file_is_refused_by_name()
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a");
        var source = cluster.WriteCheckpoint();

        // Root reads whatever its mode, so the file is one that nobody can read as one: a device.
        File.Delete(Path.Combine(source, "config.json"));
        File.CreateSymbolicLink(Path.Combine(source, "config.json"), "/dev/null");

        var refused = await NodeCalls.FailsAsync(a.PublishAsync(source), NodeError.Usage);

        Assert.Contains("config.json", refused.Message, StringComparison.Ordinal);
        Assert.Empty(await cluster.CatalogAsync());
    }

    [Theory]
    [MemberData(nameof(BadHeaders))]
    public async Task Malformed_safetensors_file_is_refused_by_name(string reason, string header)
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a");
        var source = cluster.WriteCheckpoint(bytes: 1 << 20);
        await File.WriteAllBytesAsync(Path.Combine(source, "bad.safetensors"), Malformed(header));

        var refused = await NodeCalls.FailsAsync(a.PublishAsync(source), NodeError.Integrity);

        Assert.True(refused.Message.Contains("bad.safetensors", StringComparison.Ordinal), $"{reason}: {refused.Message}");
        Assert.Empty(await cluster.CatalogAsync());
        Assert.Equal(0, (await a.StatusAsync(default)).Checkpoints);
    }

    [Fact]
    public async Task File_that_changes_while_it_is_hashed_is_refused_by_name()
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a");
        var source = cluster.WriteCheckpoint();
        var victim = Path.Combine(source, "model-00001-of-00002.safetensors");
        var hashing = new ActionProgress<PublishProgress>(seen =>
        {
            // The first report of this file's own bytes: the file is open, its identity taken, its hashing not over.
            if (seen is { Stage: "hashing", BytesDone: > 1 << 20 })
            {
                File.SetLastWriteTimeUtc(victim, DateTime.UtcNow.AddSeconds(1));
            }
        });

        var publish = a.PublishAsync(new PublishRequest(source, TestCluster.Checkpoint, false, [], new Dictionary<string, string>()), hashing, default);
        var refused = await NodeCalls.FailsAsync(publish.WaitAsync(TestCluster.Deadline), NodeError.Integrity);

        Assert.Contains("model-0000", refused.Message, StringComparison.Ordinal);
        Assert.Contains("changed while it was hashed", refused.Message, StringComparison.Ordinal);
        Assert.Empty(await cluster.CatalogAsync());
    }

    [Fact]
    public async Task Without_a_tracker_publishing_fails_with_what_to_do_and_works_once_it_is_back()
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a");
        var source = cluster.WriteCheckpoint();
        await cluster.StopTrackerAsync();

        var failed = await NodeCalls.FailsAsync(a.PublishAsync(source), NodeError.Deadline);
        Assert.Contains("p2pw tracker", failed.Message, StringComparison.Ordinal);

        await cluster.StartTrackerAsync();
        Assert.False((await a.PublishAsync(source)).AlreadyPublished);
    }

    [Fact]
    public async Task Metadata_is_part_of_the_content()
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a");
        var source = cluster.WriteCheckpoint();
        var request = new PublishRequest(source, "m@v1", false, [], new Dictionary<string, string> { ["step"] = "100" });

        var one = await a.PublishAsync(request, null, default);
        var other = await a.PublishAsync(source, "m@v2");

        Assert.NotEqual(one.Manifest, other.Manifest);
        Assert.Equal(0, other.NewShards);
        Assert.Equal("100", (await a.ShowAsync("m@v1", default)).Metadata["step"]);
    }

    private static byte[] Malformed(string header)
    {
        var sound = TinyCheckpoint.Safetensors([("t", "U8", [16], new byte[16])]);
        switch (header)
        {
            case "length-past-end":
                BinaryPrimitives.WriteInt64LittleEndian(sound, sound.Length);
                return sound;
            case "length-huge":
                BinaryPrimitives.WriteUInt64LittleEndian(sound, 1UL << 63);
                return sound;
            case "junk":
                var junk = new byte[8 + 100_000_001];
                BinaryPrimitives.WriteInt64LittleEndian(junk, 100_000_001);
                return junk;
            case "truncated":
                return sound[..^1];
            case "not-json":
                return TinyCheckpoint.Safetensors("{\"t\":", new byte[16]);
            default:
                return TinyCheckpoint.Safetensors(header, new byte[16]);
        }
    }
}
