using P2PWeights.Client.Engines;
using P2PWeights.Client.Tests.Cluster;
using P2PWeights.Client.Tests.Engines;
using P2PWeights.Client.Updating;
using P2PWeights.Client.Updating.Verifying;
using P2PWeights.Store;

namespace P2PWeights.Client.Tests.Updating;

public sealed class EngineVerifierTests
{
    private static readonly EngineDevice Device = new("host-0");

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_engine_that_holds_every_tensor_is_verified(bool inMemory)
    {
        await using var fixture = await UpdateFixture.CreateAsync(inMemory);
        var plan = PlanOf(fixture);
        var seen = new List<int>();

        var found = Assert.Single(await VerifyAsync(fixture, plan, [Engine(fixture.Sha256Of)], progress: new ActionProgress<int>(seen.Add)));

        Assert.Equal((VerificationOutcomes.Verified, plan.Tensors, null), (found.Outcome, found.Equal, found.Reason));
        Assert.Equal((0, 0), (found.Differing.Count, found.Missing.Count));
        Assert.Equal(Enumerable.Range(1, plan.Buckets.Length), seen);
        fixture.AssertClean();
    }

    [Fact]
    public async Task Wrong_and_missing_tensors_are_named()
    {
        await using var fixture = await UpdateFixture.CreateAsync();

        // The empty tensor has a digest too.
        var found = Assert.Single(await VerifyAsync(fixture, PlanOf(fixture), [Engine(name => name switch
        {
            "layers.3.weight" or "layers.11.none" => new byte[32],
            "layers.2.bias" => [],
            _ => fixture.Sha256Of(name),
        })]));

        Assert.Equal((VerificationOutcomes.Differs, 57), (found.Outcome, found.Equal));
        Assert.Equal(["layers.3.weight", "layers.11.none"], found.Differing.First);
        Assert.Equal(["layers.2.bias"], found.Missing.First);
    }

    [Fact]
    public async Task Each_engine_is_judged_by_itself()
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        var (asked, wrongFirst) = (0, 0);

        var found = await VerifyAsync(
            fixture, PlanOf(fixture),
            [
                new ScriptedEngine([new ScriptedEngineChannel(Device)]),
                Engine(name => ++asked > 20 ? throw new EngineException(EngineError.Died, "it went away") : fixture.Sha256Of(name)),
                Engine(name => ++wrongFirst > 20 ? throw new EngineException(EngineError.Died, "it went away") : new byte[32]),
                Engine(fixture.Sha256Of),
            ]);

        Assert.Equal(
            [VerificationOutcomes.Unsupported, VerificationOutcomes.Failed, VerificationOutcomes.Differs, VerificationOutcomes.Verified], found.Select(one => one.Outcome));
        Assert.Equal(["scripted cannot read its tensors back", "it went away", "it went away", null], found.Select(one => one.Reason));
        Assert.InRange(found[1].Equal, 1, 20);
        fixture.AssertClean();
    }

    [Fact]
    public async Task Bytes_that_the_node_lost_are_a_failure_and_no_difference()
    {
        await using var fixture = await UpdateFixture.CreateAsync();

        var found = Assert.Single(await VerifyAsync(
            fixture, PlanOf(fixture), [Engine(fixture.Sha256Of)],
            lease: (ordinal, token) => ordinal == 7 ? throw new StoreException(StoreError.Io, "the disk is gone") : fixture.Lease(ordinal, token)));

        Assert.Equal((VerificationOutcomes.Failed, "the disk is gone"), (found.Outcome, found.Reason));
        fixture.AssertClean();
    }

    [Fact]
    public async Task Cancelling_ends_it()
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        using var cancel = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => VerifyAsync(
            fixture, PlanOf(fixture),
            [
                Engine(name =>
                {
                    cancel.Cancel();
                    return fixture.Sha256Of(name);
                }),
            ],
            cancellationToken: cancel.Token));
        fixture.AssertClean();
    }

    private static UpdatePlan PlanOf(UpdateFixture fixture) =>
        BucketPlanner.Plan(fixture.Manifest.Tensors, ["model.safetensors"], 1, 1 << 30, new UpdatePlanOptions { SlotBytes = 300_000 });

    private static ScriptedEngine Engine(Func<string, byte[]> hash) => new([new ScriptedEngineChannel(Device)], hash);

    private static Task<IReadOnlyList<EngineVerification>> VerifyAsync(
        UpdateFixture fixture, UpdatePlan plan, IReadOnlyList<IEngine> engines, IProgress<int>? progress = null,
        Func<int, CancellationToken, ValueTask<ShardLease>>? lease = null, CancellationToken cancellationToken = default) =>
        new EngineVerifier(plan, new TensorHasher(new ShardMap(fixture.Manifest), lease ?? fixture.Lease), progress).RunAsync(engines, cancellationToken);
}
