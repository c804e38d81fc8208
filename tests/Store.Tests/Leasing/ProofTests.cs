namespace P2PWeights.Store.Tests.Leasing;

public sealed class ProofTests : IAsyncLifetime
{
    private readonly StoreFixture _fixture = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _fixture.DisposeAsync();

    [Fact]
    public async Task Many_readers_of_one_unproven_shard_have_it_hashed_once()
    {
        var store = await _fixture.OpenAsync();
        var (shard, bytes) = _fixture.NewShard(4 << 20);
        await store.PutAsync(shard, bytes);
        store = await _fixture.ReopenAsync();
        var before = store.Proofs;

        var leases = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Task.Run(() => store.LeaseAsync(shard.Digest, StoreFixture.Deadline).AsTask())));

        Assert.All(leases, lease => Assert.True(lease!.Value.Memory.Span.SequenceEqual(bytes), _fixture.Seeded.ToString()));
        Assert.Equal(1, store.Proofs - before);
        Array.ForEach(leases, lease => lease!.Value.Dispose());
    }

    [Fact]
    public async Task Proven_shard_is_leased_without_a_hash_and_scrubbed_with_one()
    {
        var store = await _fixture.OpenAsync();
        var (shard, bytes) = _fixture.NewShard(5000);
        await store.PutAsync(shard, bytes);
        var before = store.Proofs;

        (await store.LeaseAsync(shard.Digest, StoreFixture.Deadline))!.Value.Dispose();
        Assert.Equal(before, store.Proofs);
        await store.ScrubAsync([shard.Digest], bytesPerSecond: 0, progress: null, StoreFixture.Deadline);

        Assert.Equal(before + 1, store.Proofs);
    }
}
