using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Store.Content;
using P2PWeights.Testing;

namespace P2PWeights.Tracker.Tests;

/// <summary>Publishing through a real server: staged, then visible at once.</summary>
public sealed class PublishTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task Publish_shards_without_replica_is_staged_until_they_have_one()
    {
        await using var tracker = await RunningTracker.StartAsync();
        var manifest = Make.Manifest("a", 10);
        var name = Make.Checkpoint("org/model@v1");
        await tracker.Client.PutManifestAsync(manifest, None);

        var before = await tracker.Client.PublishAsync(name, manifest.Digest, None);
        Assert.Equal(new PublishResponse(PublishOutcome.Staged, 10, null), before);
        Assert.Null(await tracker.Client.FindAsync(name, None));
        Assert.Empty(await tracker.Client.ListAsync(null, None));
        Assert.Equal(1, (await tracker.Client.StatusAsync(None)).Staged);

        await tracker.Client.SyncAsync(Make.FullSync(Make.Peer(1), 1, Make.ShardsOf(manifest).Take(9), manifest), None);
        Assert.Equal(new PublishResponse(PublishOutcome.Staged, 1, null), await tracker.Client.PublishAsync(name, manifest.Digest, None));

        await tracker.Client.SyncAsync(Make.FullSync(Make.Peer(2), 1, Make.ShardsOf(manifest).Skip(9), manifest), None);
        Assert.Equal(PublishOutcome.Published, (await tracker.Client.PublishAsync(name, manifest.Digest, None)).Outcome);

        var info = await tracker.Client.FindAsync(name, None);
        Assert.NotNull(info);
        Assert.Equal(("org/model", "v1", manifest.Digest), (info.Name, info.Version, info.Manifest));
        Assert.Equal((10_000L, 1, 10), (info.Bytes, info.Files, info.Shards));
        Assert.Equal((10, 0), (info.AvailableShards, info.CompletePeers));
        Assert.Equal(0, (await tracker.Client.StatusAsync(None)).Staged);
        var fetched = await tracker.Client.GetManifestAsync(manifest.Digest, None);
        Assert.Equal(manifest.Encoded.ToArray(), fetched!.Encoded.ToArray());
    }

    [Fact]
    public async Task List_tells_what_is_held_of_versions_that_nobody_is_in_and_makes_no_swarm_of_them()
    {
        using var folder = new TempFolder();
        var time = new ManualTime();
        await using var tracker = await TrackerCore.OpenAsync(new TrackerOptions { DataDirectory = folder.Path }, time, new Random(1), NullLogger.Instance);
        var (held, gone) = (Make.Manifest("held"), Make.Manifest("gone"));
        foreach (var manifest in (Manifest[])[held, gone])
        {
            await tracker.PutManifestAsync(manifest.Digest, new MemoryStream(manifest.Encoded.ToArray()), None);
            await tracker.SyncAsync(Make.FullSync(Make.Peer(1), 1, Make.ShardsOf(manifest), manifest));
            time.Advance(TimeSpan.FromSeconds(1));
            Assert.Equal(PublishOutcome.Published, (await tracker.PublishAsync(Make.Checkpoint($"m@{(manifest == held ? "held" : "gone")}"), manifest.Digest, None)).Outcome);
        }

        Assert.Equal([("held", 0, 0), ("gone", 10, 1)], (await tracker.ListAsync(null, None)).Select(version => (version.Version, version.AvailableShards, version.CompletePeers)));
        time.Advance(TimeSpan.FromHours(1));
        await tracker.SyncAsync(Make.FullSync(Make.Peer(2), 1, Make.ShardsOf(held).Take(7)));
        Assert.Equal(0, SwarmsOf(tracker));

        Assert.Equal([("held", 7, 0), ("gone", 0, 0)], (await tracker.ListAsync(null, None)).Select(version => (version.Version, version.AvailableShards, version.CompletePeers)));
        Assert.Equal(7, (await tracker.FindAsync(Make.Checkpoint("m@held")))!.AvailableShards);
        Assert.Equal(0, SwarmsOf(tracker));
    }

    [Fact]
    public async Task Publish_same_content_again_says_already_and_other_content_conflicts_and_changes_nothing()
    {
        await using var tracker = await RunningTracker.StartAsync();
        var first = Make.Manifest("a");
        var second = Make.Manifest("b");
        var name = Make.Checkpoint("model@v1");
        await PublishAsync(tracker, name, first);

        Assert.Equal(new PublishResponse(PublishOutcome.AlreadyPublished, 0, null), await tracker.Client.PublishAsync(name, first.Digest, None));

        await tracker.Client.PutManifestAsync(second, None);
        Assert.Equal(new PublishResponse(PublishOutcome.Conflict, 0, first.Digest), await tracker.Client.PublishAsync(name, second.Digest, None));
        Assert.Equal(first.Digest, (await tracker.Client.FindAsync(name, None))!.Manifest);
    }

    [Fact]
    public async Task Publish_two_publishers_at_once_both_succeed_when_the_content_is_the_same()
    {
        await using var tracker = await RunningTracker.StartAsync();
        var manifest = Make.Manifest("a");
        await tracker.Client.PutManifestAsync(manifest, None);
        await tracker.Client.SyncAsync(Make.FullSync(Make.Peer(1), 1, Make.ShardsOf(manifest), manifest), None);

        var answers = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => tracker.Client.PublishAsync(Make.Checkpoint("model@v1"), manifest.Digest, None)));

        Assert.Equal(1, answers.Count(answer => answer.Outcome == PublishOutcome.Published));
        Assert.Equal(15, answers.Count(answer => answer.Outcome == PublishOutcome.AlreadyPublished));
    }

    [Fact]
    public async Task Publish_two_contents_at_once_one_wins_and_the_other_conflicts()
    {
        await using var tracker = await RunningTracker.StartAsync();
        Manifest[] manifests = [Make.Manifest("a"), Make.Manifest("b")];
        foreach (var (index, manifest) in manifests.Index())
        {
            await tracker.Client.PutManifestAsync(manifest, None);
            await tracker.Client.SyncAsync(Make.FullSync(Make.Peer(index), 1, Make.ShardsOf(manifest), manifest), None);
        }

        var answers = await Task.WhenAll(manifests.Select(manifest => tracker.Client.PublishAsync(Make.Checkpoint("model@v1"), manifest.Digest, None)));

        var winner = Assert.Single(answers.Index(), answer => answer.Item.Outcome == PublishOutcome.Published).Index;
        Assert.Equal(new PublishResponse(PublishOutcome.Conflict, 0, manifests[winner].Digest), answers[1 - winner]);
    }

    [Fact]
    public async Task Publish_without_manifest_is_refused_with_what_to_do()
    {
        await using var tracker = await RunningTracker.StartAsync();
        var e = await Assert.ThrowsAsync<TrackerException>(() => tracker.Client.PublishAsync(Make.Checkpoint("m@1"), Make.Digest("x"), None));
        Assert.Equal(TrackerError.Refused, e.Error);
        Assert.Contains("put it before publishing", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Publish_when_the_disk_fails_is_unavailable_not_refused_and_goes_to_the_next_tracker()
    {
        using var folder = new TempFolder();
        await using var broken = await RunningTracker.StartAsync(folder.Path);
        await using var sound = await RunningTracker.StartAsync();
        var manifest = Make.Manifest("a");
        foreach (var tracker in (RunningTracker[])[broken, sound])
        {
            await tracker.Client.PutManifestAsync(manifest, None);
            await tracker.Client.SyncAsync(Make.FullSync(Make.Peer(1), 1, Make.ShardsOf(manifest), manifest), None);
        }

        // What the tracker has to replace cannot be replaced: a disk that fails, also for root.
        File.Delete(folder["catalog/journal/commit"]);
        Directory.CreateDirectory(folder["catalog/journal/commit/in the way"]);

        for (var i = 0; i < 2; i++)
        {
            var e = await Assert.ThrowsAsync<TrackerException>(() => broken.Client.PublishAsync(Make.Checkpoint("m@v1"), manifest.Digest, None));
            Assert.Equal(TrackerError.Unavailable, e.Error);
            Assert.Contains("read-only", e.Message, StringComparison.Ordinal);
            Assert.Contains(folder.Path, e.Message, StringComparison.Ordinal);
        }

        Assert.Empty(await broken.Client.ListAsync(null, None));
        using var both = new TrackerClient([broken.Address, sound.Address], null, TimeProvider.System);
        Assert.Equal(PublishOutcome.Published, (await both.PublishAsync(Make.Checkpoint("m@v1"), manifest.Digest, None)).Outcome);
    }

    [Fact]
    public async Task Tag_moves_and_goes_with_its_version()
    {
        await using var tracker = await RunningTracker.StartAsync();
        await PublishAsync(tracker, Make.Checkpoint("m@v1"), Make.Manifest("a"));
        await PublishAsync(tracker, Make.Checkpoint("m@v2"), Make.Manifest("b"));

        Assert.True(await tracker.Client.TagAsync(Make.Checkpoint("m@v1"), "latest", None));
        Assert.Equal("v1", (await tracker.Client.FindAsync(Make.Checkpoint("m@latest"), None))!.Version);
        Assert.True(await tracker.Client.TagAsync(Make.Checkpoint("m@v2"), "latest", None));
        var found = await tracker.Client.FindAsync(Make.Checkpoint("m@latest"), None);
        Assert.Equal("v2", found!.Version);
        Assert.Equal(["latest"], found.Tags.AsEnumerable());
        Assert.False(await tracker.Client.TagAsync(Make.Checkpoint("m@v9"), "latest", None));

        Assert.True(await tracker.Client.RemoveAsync(Make.Checkpoint("m@v2"), None));
        Assert.Null(await tracker.Client.FindAsync(Make.Checkpoint("m@latest"), None));
        Assert.False(await tracker.Client.RemoveAsync(Make.Checkpoint("m@v2"), None));
        Assert.Equal(["v1"], (await tracker.Client.ListAsync("m", None)).Select(info => info.Version));
    }

    [Fact]
    public async Task Tag_and_version_cannot_share_a_name()
    {
        await using var tracker = await RunningTracker.StartAsync();
        await PublishAsync(tracker, Make.Checkpoint("m@v1"), Make.Manifest("a"));
        await PublishAsync(tracker, Make.Checkpoint("m@v2"), Make.Manifest("b"));
        await tracker.Client.TagAsync(Make.Checkpoint("m@v1"), "latest", None);

        var tag = await Assert.ThrowsAsync<TrackerException>(() => tracker.Client.TagAsync(Make.Checkpoint("m@v1"), "v2", None));
        Assert.Contains("m@v2 is a version", tag.Message, StringComparison.Ordinal);
        var version = await Assert.ThrowsAsync<TrackerException>(
            () => tracker.Client.PublishAsync(Make.Checkpoint("m@latest"), Make.Manifest("b").Digest, None));
        Assert.Contains("m@latest is a tag (of m@v1)", version.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Events_reach_peers_in_order_and_once()
    {
        await using var tracker = await RunningTracker.StartAsync();
        var manifest = Make.Manifest("a");
        await PublishAsync(tracker, Make.Checkpoint("m@v1"), manifest);
        await tracker.Client.TagAsync(Make.Checkpoint("m@v1"), "latest", None);
        await tracker.Client.RemoveAsync(Make.Checkpoint("m@latest"), None);

        var all = await tracker.Client.SyncAsync(Make.FullSync(Make.Peer(7), 1, []), None);
        Assert.Equal(
            [
                new CatalogEvent(1, "published", "m@v1", manifest.Digest),
                new CatalogEvent(2, "tagged", "m@latest", manifest.Digest),
                new CatalogEvent(3, "removed", "m@latest", manifest.Digest),
            ],
            all.Events.AsEnumerable());
        var rest = await tracker.Client.SyncAsync(Make.Sync(Make.Peer(7), 2, [], []) with { EventsAfter = 2 }, None);
        Assert.Equal([3L], rest.Events.Select(happened => happened.Number));
        Assert.Empty((await tracker.Client.SyncAsync(Make.Sync(Make.Peer(7), 3, [], []) with { EventsAfter = 3 }, None)).Events);
    }

    [Fact]
    public async Task Suggest_unknown_name_gives_the_closest_first()
    {
        await using var tracker = await RunningTracker.StartAsync();
        await PublishAsync(tracker, Make.Checkpoint("qwen3-8b@step-1000"), Make.Manifest("a"));
        await PublishAsync(tracker, Make.Checkpoint("deepseek-v3@v1"), Make.Manifest("b"));

        var names = await tracker.Client.SuggestAsync(Make.Checkpoint("qwen3-8B@step-100"), None);

        Assert.Equal("qwen3-8b@step-1000", names[0]);
        Assert.DoesNotContain("deepseek-v3@v1", names);
    }

    private static async Task PublishAsync(RunningTracker tracker, CheckpointName name, Manifest manifest)
    {
        await tracker.Client.PutManifestAsync(manifest, None);
        await tracker.Client.SyncAsync(Make.FullSync(Make.Peer(100), 1, await HeldAsync(tracker, manifest), manifest), None);
        Assert.Equal(PublishOutcome.Published, (await tracker.Client.PublishAsync(name, manifest.Digest, None)).Outcome);
    }

    /// <summary>The publisher of these tests keeps what it published before.</summary>
    private static async Task<IEnumerable<Digest>> HeldAsync(RunningTracker tracker, Manifest manifest)
    {
        var held = new HashSet<Digest>(Make.ShardsOf(manifest));
        foreach (var published in await tracker.Client.ListAsync(null, None))
        {
            held.UnionWith(Make.ShardsOf((await tracker.Client.GetManifestAsync(published.Manifest, None))!));
        }

        return held;
    }

    /// <summary>Swarms in the tracker's memory, by its gauge.</summary>
    private static int SwarmsOf(TrackerCore tracker)
    {
        var swarms = -1;
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (ReferenceEquals(instrument.Meter, tracker.Metrics.Meter) && instrument.Name == "p2pw.tracker.swarms")
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<int>((_, value, _, _) => swarms = value);
        listener.Start();
        listener.RecordObservableInstruments();
        return swarms;
    }
}
