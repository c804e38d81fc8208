using P2PWeights.Client.Engines;
using P2PWeights.Client.Updating;

namespace P2PWeights.Client.Tests.Updating;

public sealed class UpdateSessionTests
{
    [Theory]
    [InlineData(true, 1, 4)]
    [InlineData(true, 2, 3)]
    [InlineData(true, 3, 1)]
    [InlineData(false, 1, 1)]
    [InlineData(false, 3, 4)]
    public async Task Every_rank_gets_every_tensor_in_layer_order(bool inMemory, int ranks, int slots)
    {
        await using var fixture = await UpdateFixture.CreateAsync(inMemory);
        var (engine, readers, channels) = UpdateFixture.Engine(ranks);

        var (engines, plan, failure) = await fixture.UpdateAsync([engine], UpdateFixture.Request with { Slots = slots });

        Assert.Null(failure);
        var report = Assert.Single(engines);
        Assert.Equal((EngineStates.Updated, null), (report.State, report.Reason));
        Assert.Equal((slots, "org/model@v1"), (plan.Slots.Count, engine.Checkpoint));
        Assert.True(plan.Buckets.Length > 2 * slots, "slots are used again");
        Assert.All(readers, fixture.AssertHolds);
        Assert.All(channels, channel =>
        {
            Assert.Equal(["open", .. plan.Buckets.Select(bucket => $"load {bucket.Index}"), "release", "finish"], channel.Steps);
            Assert.Equal(plan.Buckets.Select(bucket => bucket.Tensors.Length), channel.Loaded.Select(bucket => bucket.Length));
            Assert.Equal(
                fixture.Manifest.Tensors.Select(tensor => tensor.Name).Order(TensorNameOrder.Instance), channel.Loaded.SelectMany(bucket => bucket.Select(record => record.Name)));
            Assert.True(channel.IsDisposed);
        });
        fixture.AssertClean();
    }

    [Fact]
    public async Task Several_engines_are_updated_at_once()
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        var (one, readersOfOne, _) = UpdateFixture.Engine(2);
        var (other, readersOfOther, _) = UpdateFixture.Engine(1);

        var (engines, _, failure) = await fixture.UpdateAsync([one, other]);

        Assert.Null(failure);
        Assert.All(engines, engine => Assert.Equal(EngineStates.Updated, engine.State));
        Assert.All(readersOfOne.Concat(readersOfOther), fixture.AssertHolds);
    }

    [Fact]
    public async Task A_collective_exchange_brings_the_same_bytes()
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        using var devices = new FaultyDevices(new Client.Updating.Devices.HostDevices(fixture.SlotRoot), "none", FaultyCopy.In, DeviceFault.Fail, 0);
        var (engine, readers, channels) = UpdateFixture.Engine(3);
        var engineWaits = true;
        devices.CollectiveEnds = () => engineWaits = !channels.All(channel => channel.IsDisposed);

        var (engines, _, failure) = await fixture.UpdateAsync([engine], UpdateFixture.Request with { Broadcast = BroadcastModes.Nccl }, devices);

        Assert.Null(failure);
        Assert.Equal(EngineStates.Updated, engines[0].State);
        Assert.All(readers, fixture.AssertHolds);
        Assert.False(engineWaits, "to take a collective down takes long, and no engine waits for it");
        fixture.AssertClean();
    }

    [Fact]
    public async Task Later_buckets_are_brought_while_an_engine_still_loads_the_first()
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        var plan = BucketPlanner.Plan(fixture.Manifest.Tensors, ["model.safetensors"], 2, 1 << 30, new UpdatePlanOptions { SlotBytes = 300_000, Slots = 3 });
        var map = new ShardMap(fixture.Manifest);

        // Three buckets take the slots, and a fourth has its shards leased and waits for one: shards that none before it needs.
        var ofFourth = map.Pieces(plan.Buckets[3]).Select(piece => piece.Ordinal)
            .Except(plan.Buckets.Take(3).SelectMany(bucket => map.Pieces(bucket)).Select(piece => piece.Ordinal)).ToHashSet();
        Assert.NotEmpty(ofFourth);
        var hold = new TaskCompletionSource();
        var farAhead = new TaskCompletionSource();
        var (engine, readers, _) = UpdateFixture.Engine(2, (_, step, _) => step == "load 0" ? hold.Task : Task.CompletedTask);
        var updating = fixture.UpdateAsync([engine], UpdateFixture.Request with { Slots = 3 }, lease: (ordinal, token) =>
        {
            if (ofFourth.Contains(ordinal))
            {
                farAhead.TrySetResult();
            }

            return fixture.Lease(ordinal, token);
        });
        await farAhead.Task.WaitAsync(TimeSpan.FromSeconds(60));
        Assert.All(readers, reader => Assert.True(reader.Tensors.Count <= plan.Buckets[0].Tensors.Length));
        hold.SetResult();

        var (engines, used, failure) = await updating;
        Assert.Null(failure);
        Assert.Equal(plan.Buckets.Length, used.Buckets.Length);
        Assert.Equal(EngineStates.Updated, engines[0].State);
        Assert.All(readers, fixture.AssertHolds);
    }

    [Fact]
    public async Task Shards_that_come_later_are_waited_for()
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        var (engine, readers, channels) = UpdateFixture.Engine(2);
        var comes = new TaskCompletionSource();
        var last = fixture.Manifest.Shards.Length - 1;
        var updating = fixture.UpdateAsync([engine], lease: async (ordinal, token) =>
        {
            if (ordinal == last)
            {
                await comes.Task.WaitAsync(token);
            }

            return await fixture.Lease(ordinal, token);
        });

        // Everything else goes on meanwhile.
        while (channels[0].Loaded.Count == 0)
        {
            Assert.False(updating.IsCompleted);
            await Task.Yield();
        }

        comes.SetResult();
        var (engines, _, failure) = await updating;
        Assert.Null(failure);
        Assert.Equal(EngineStates.Updated, engines[0].State);
        Assert.All(readers, fixture.AssertHolds);
    }

    [Fact]
    public async Task A_checkpoint_or_mode_that_host_devices_cannot_take_is_refused()
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        var (engine, _, channels) = UpdateFixture.Engine(2);

        var (engines, _, failure) = await fixture.UpdateAsync([engine], UpdateFixture.Request with { Broadcast = BroadcastModes.Nccl });

        Assert.Contains("leave out --broadcast nccl", Assert.IsType<UpdateException>(failure).Message, StringComparison.Ordinal);
        Assert.Equal(EngineStates.Untouched, Assert.Single(engines).State);
        Assert.Empty(channels[0].Steps);
        Assert.Contains("may be used", (await Assert.ThrowsAsync<UpdateException>(() =>
            fixture.UpdateAsync([engine], UpdateFixture.Request with { MemoryFraction = 1e-9 }))).Message, StringComparison.Ordinal);
        fixture.AssertClean();
    }
}
