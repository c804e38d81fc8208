using P2PWeights.Testing;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Tests.Cluster;

/// <summary>A second version, of which a tenth of the tensors changed: what moves, and who serves what did not change.</summary>
public sealed class SecondVersionTests
{
    private const int Tensors = 20;
    private const int TensorBytes = 1 << 20;
    private const int Changed = 2;

    /// <summary>The header and the small file beside it are shards, too.</summary>
    private const long Small = 64 << 10;

    [Theory]
    [InlineData(PathNames.Tcp, false)]
    [InlineData(PathNames.Tcp, true)]
    [InlineData(PathNames.Local, false)]
    [InlineData(PathNames.Local, true)]
    public async Task Holder_of_the_first_version_fetches_what_changed_and_no_more(string path, bool intoFolders)
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a", paths: [path]);
        var b = await cluster.StartNodeAsync("b", paths: [path]);
        var (first, second) = WriteVersions(cluster);
        await a.PublishAsync(first, "m@v1");
        await b.PullAsync(intoFolders ? cluster.Folder["pulled-1"] : null, "m@v1");
        await a.PublishAsync(second, "m@v2");

        var report = (await b.PullAsync(intoFolders ? cluster.Folder["pulled-2"] : null, "m@v2")).Transfer;

        Assert.InRange(report.BytesFetched, Changed * TensorBytes, report.BytesTotal / 10 + Small);
        Assert.Equal(report.BytesTotal, report.BytesFetched + report.BytesReused);
        var carried = Assert.Single(Assert.Single(report.Sources).Paths);
        Assert.Equal((path, report.BytesFetched), (carried.Path, carried.Bytes));
        if (intoFolders)
        {
            cluster.AssertSame(second, cluster.Folder["pulled-2"]);
        }
    }

    [Fact]
    public async Task Holders_of_the_first_version_serve_newcomers_of_the_second_what_did_not_change()
    {
        await using var cluster = await TestCluster.StartAsync();

        // Slow enough that one has not sent everything before the other is asked.
        const long HolderRate = 4 << 20;
        var (a, b) = (await cluster.StartNodeAsync("a", uploadBytesPerSecond: HolderRate), await cluster.StartNodeAsync("b", uploadBytesPerSecond: HolderRate));
        var (first, second) = WriteVersions(cluster);
        await a.PublishAsync(first, "m@v1");
        await b.PullAsync(folder: null, "m@v1");

        // So slow that the whole of the second version would take it most of a minute.
        var publisher = await cluster.StartNodeAsync("publisher", uploadBytesPerSecond: 512 << 10);
        await publisher.PublishAsync(second, "m@v2");
        Assert.Equal((1, 1), ((await a.StatusAsync(default)).Checkpoints, (await b.StatusAsync(default)).Checkpoints));
        var newcomer = await cluster.StartNodeAsync("newcomer");

        var report = (await newcomer.PullAsync(cluster.Folder["target"], "m@v2")).Transfer;

        cluster.AssertSame(second, cluster.Folder["target"]);
        const long Shared = (Tensors - Changed) * TensorBytes;
        var (publishers, holders) = (BytesOf("publisher"), BytesOf("a") + BytesOf("b"));
        Assert.True(publishers >= Changed * TensorBytes, $"{publishers} bytes came from the only node that has what changed ({cluster.Seed})");
        Assert.True(holders >= Shared * 3 / 4, $"{holders} of {Shared} shared bytes came from the nodes that hold the first version, {publishers} from the publisher ({cluster.Seed})");
        Assert.True(BytesOf("a") > 0 && BytesOf("b") > 0, $"{BytesOf("a")} and {BytesOf("b")} bytes ({cluster.Seed})");

        long BytesOf(string name) => report.Sources.Where(source => source.Name == name).Sum(source => source.Bytes);
    }

    [Fact]
    public async Task Holders_of_shared_shards_are_enough_for_them_once_the_publisher_is_gone()
    {
        await using var cluster = await TestCluster.StartAsync();
        var (a, b) = (await cluster.StartNodeAsync("a"), await cluster.StartNodeAsync("b", noSourceTimeout: TimeSpan.FromSeconds(5)));
        var (first, second) = WriteVersions(cluster);
        await a.PublishAsync(first, "m@v1");
        var publisher = await cluster.StartNodeAsync("publisher");
        await publisher.PublishAsync(second, "m@v2");
        await cluster.StopAsync(publisher);

        var failure = await NodeCalls.FailsAsync(b.PullAsync(cluster.Folder["target"], "m@v2"), NodeError.NoPeers);

        Assert.Contains($"{Changed * TensorBytes} bytes", failure.Message, StringComparison.Ordinal);
    }

    /// <summary>Two folders whose weights differ in a tenth of the tensors.</summary>
    private static (string First, string Second) WriteVersions(TestCluster cluster)
    {
        var tensors = Enumerable.Range(0, Tensors).Select(i => ($"model.layers.{i}.weight", "BF16", new long[] { TensorBytes / 2 }, cluster.Seed.Bytes(TensorBytes))).ToList();
        Write("first");
        for (var i = 0; i < Changed; i++)
        {
            tensors[(7 * i) + 3] = tensors[(7 * i) + 3] with { Item4 = cluster.Seed.Bytes(TensorBytes) };
        }

        Write("second");
        return (cluster.Folder["first"], cluster.Folder["second"]);

        void Write(string name)
        {
            Directory.CreateDirectory(cluster.Folder[name]);
            File.WriteAllBytes(cluster.Folder[$"{name}/model.safetensors"], TinyCheckpoint.Safetensors(tensors));
            File.WriteAllText(cluster.Folder[$"{name}/config.json"], "{}");
        }
    }
}
