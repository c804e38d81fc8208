using System.Diagnostics;
using System.Globalization;
using P2PWeights.Store.Content;
using P2PWeights.Testing;

namespace P2PWeights.Tracker.Tests;

/// <summary>A tracker that dies and comes back: the catalog is as it was, the swarm is told again by the peers.</summary>
public sealed class RestartTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task Restart_peers_are_asked_for_a_full_sync_and_the_swarm_is_whole_again()
    {
        using var folder = new TempFolder();
        var manifest = Make.Manifest("a", 40);
        var shards = Make.ShardsOf(manifest);
        long epoch;
        await using (var tracker = await RunningTracker.StartAsync(folder.Path))
        {
            await tracker.Client.PutManifestAsync(manifest, None);
            await tracker.Client.SyncAsync(Make.FullSync(Make.Peer(1), 1, shards.Take(20), manifest), None);
            epoch = (await tracker.Client.SyncAsync(Make.FullSync(Make.Peer(2), 1, shards.Skip(20), manifest), None)).Epoch;
            Assert.Equal(PublishOutcome.Published, (await tracker.Client.PublishAsync(Make.Checkpoint("m@v1"), manifest.Digest, None)).Outcome);
        }

        await using var again = await RunningTracker.StartAsync(folder.Path);
        var found = await again.Client.FindAsync(Make.Checkpoint("m@v1"), None);
        Assert.Equal((0, 0), (found!.AvailableShards, found.CompletePeers));

        var answer = await again.Client.SyncAsync(Make.Sync(Make.Peer(1), 2, [], []), None);
        Assert.True(answer.Resync);
        Assert.NotEqual(epoch, answer.Epoch);
        await again.Client.SyncAsync(Make.FullSync(Make.Peer(1), 3, shards.Take(20), manifest), None);
        answer = await again.Client.SyncAsync(Make.FullSync(Make.Peer(2), 3, shards.Skip(20), manifest).Pulling(manifest), None);

        var view = Assert.Single(answer.Swarms);
        Assert.Equal(2, view.Peers);
        Assert.Equal("n1", Assert.Single(view.Neighbours!.Value).Name);
        Assert.Equal(40, (await again.Client.FindAsync(Make.Checkpoint("m@v1"), None))!.AvailableShards);
    }

    [Fact]
    public async Task Kill_at_any_moment_loses_nothing_acknowledged()
    {
        var seeded = new Seeded();
        using var folder = new TempFolder();
        var manifest = Make.Manifest("a", 4);
        var acknowledged = new HashSet<string>();
        for (var round = 0; round < 3; round++)
        {
            using var process = Start(folder.Path);
            var address = new Uri((await process.StandardOutput.ReadLineAsync())!);
            using var client = new TrackerClient([address], null, TimeProvider.System);
            await client.PutManifestAsync(manifest, None);
            await client.SyncAsync(Make.FullSync(Make.Peer(1), 1, Make.ShardsOf(manifest), manifest), None);
            foreach (var version in acknowledged)
            {
                Assert.True(await client.FindAsync(Make.Checkpoint($"m@{version}"), None) is not null, $"{version} is gone after a kill, {seeded}");
            }

            using var killed = new CancellationTokenSource();
            var enough = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var publishing = PublishUntilAsync(client, manifest, round, acknowledged, acknowledged.Count + seeded.Random.Next(5, 40), enough, killed.Token);
            await Task.WhenAny(enough.Task, publishing).WaitAsync(TimeSpan.FromSeconds(60));

            process.Kill();
            await process.WaitForExitAsync();
            await killed.CancelAsync();
            await publishing;
        }

        await using var last = await RunningTracker.StartAsync(folder.Path);
        var found = (await last.Client.ListAsync("m", None)).Select(info => info.Version).ToHashSet();
        Assert.True(acknowledged.IsSubsetOf(found), $"lost {string.Join(", ", acknowledged.Except(found))}, {seeded}");
        Assert.InRange(found.Count - acknowledged.Count, 0, 3); // a change in flight at each kill may have made it
        Assert.Equal(manifest.Digest, (await last.Client.GetManifestAsync(manifest.Digest, None))!.Digest);
    }

    /// <summary>Publishes one version after another until the tracker is dead; says when there are enough to go on.</summary>
    private static async Task PublishUntilAsync(
        TrackerClient client, Manifest manifest, int round, HashSet<string> acknowledged, int wanted, TaskCompletionSource enough, CancellationToken killed)
    {
        try
        {
            for (var i = 0; !killed.IsCancellationRequested; i++)
            {
                var version = string.Create(CultureInfo.InvariantCulture, $"v{round}-{i}");
                var answer = await client.PublishAsync(Make.Checkpoint($"m@{version}"), manifest.Digest, killed);
                Assert.Equal(PublishOutcome.Published, answer.Outcome);
                acknowledged.Add(version);
                if (acknowledged.Count >= wanted)
                {
                    enough.TrySetResult();
                }
            }
        }
        catch (Exception e) when (e is TrackerException or OperationCanceledException)
        {
            // The tracker is dead.
        }
    }

    /// <summary>This test assembly as a process of its own: see <see cref="Program"/>.</summary>
    private static Process Start(string folder) => Process.Start(new ProcessStartInfo("dotnet")
    {
        ArgumentList = { typeof(RestartTests).Assembly.Location, folder },
        RedirectStandardOutput = true,
        RedirectStandardInput = true,
    })!;
}
