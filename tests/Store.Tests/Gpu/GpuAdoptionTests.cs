using System.Buffers;
using P2PWeights.Store.Adopting;
using P2PWeights.Store.Content;
using P2PWeights.Store.Gpu;
using P2PWeights.Store.Serialization;

namespace P2PWeights.Store.Tests.Gpu;

public sealed class GpuAdoptionTests : IAsyncLifetime
{
    private const int Size = 1 << 20;

    private static readonly GpuMemory Host = new("host-0", 32 << 20);

    private readonly StoreFixture _owner = new();
    private readonly StoreFixture _taker = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        await _taker.DisposeAsync();
        await _owner.DisposeAsync();
    }

    [Fact]
    public async Task Adopted_shard_is_hashed_by_its_first_reader_and_only_then()
    {
        var (shard, bytes, lease, gpus) = await OfferAsync();
        using (lease)
        {
            Assert.True(await AdoptAsync(shard, gpus, lease));
        }

        Assert.Equal((Tiers.Gpu, 0), (_taker.Store.Locate(shard.Digest), _taker.Store.Proofs));
        using (var first = await _taker.Store.LeaseInGpuAsync(shard.Digest, StoreFixture.Deadline))
        {
            Assert.Equal(1, _taker.Store.Proofs);
            var read = new byte[Size];
            await first!.Value.ReadAsync(read, StoreFixture.Deadline);
            Assert.True(read.AsSpan().SequenceEqual(bytes), _owner.Seeded.ToString());
        }

        (await _taker.Store.LeaseInGpuAsync(shard.Digest, StoreFixture.Deadline))!.Value.Dispose();
        Assert.Equal(1, _taker.Store.Proofs);
        gpus.EndUse();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Wrong_bytes_that_were_adopted_reach_no_reader(bool inGpu)
    {
        var (shard, _, lease, gpus) = await OfferAsync();
        using (lease)
        {
            HostGpu.Corrupt(_owner.Store, lease.Offset + 17);
            Assert.True(await AdoptAsync(shard, gpus, lease));
        }

        var lost = 0;
        _taker.Store.Changed += change => lost += change.Gained ? 0 : 1;
        Assert.Null(inGpu
            ? await _taker.Store.LeaseInGpuAsync(shard.Digest, StoreFixture.Deadline)
            : await _taker.Store.LeaseAsync(shard.Digest, StoreFixture.Deadline));

        Assert.False(_taker.Store.Contains(shard.Digest));
        Assert.Equal(1, lost);
        gpus.EndUse();
    }

    [Fact]
    public async Task Pinned_shard_stays_in_memory_until_what_was_adopted_of_it_is_proven()
    {
        var (shard, bytes, lease, gpus) = await OfferAsync();
        using (lease)
        {
            await _taker.Store.PutAsync(shard, bytes);
            Assert.True(await AdoptAsync(shard, gpus, lease));
        }

        using var pin = _taker.Store.Pin([shard.Digest]);
        Assert.Equal(Tiers.None, await _taker.Store.EvictAsync(shard.Digest, Tiers.Memory, StoreFixture.Deadline));
        (await _taker.Store.LeaseInGpuAsync(shard.Digest, StoreFixture.Deadline))!.Value.Dispose();
        Assert.Equal(Tiers.Memory, await _taker.Store.EvictAsync(shard.Digest, Tiers.Memory, StoreFixture.Deadline));
        gpus.EndUse();
    }

    [Fact]
    public async Task Right_bytes_from_elsewhere_take_the_place_of_adopted_ones()
    {
        var (shard, bytes, lease, gpus) = await OfferAsync();
        using (lease)
        {
            HostGpu.Corrupt(_owner.Store, lease.Offset);
            Assert.True(await AdoptAsync(shard, gpus, lease));
        }

        await _taker.Store.PutAsync(shard, bytes, ShardTarget.InGpu(0));

        Assert.Equal(bytes, await _taker.Store.GetAsync(shard.Digest));
        Assert.Equal(Size, _taker.Store.Usage.Tiers.Single(tier => tier.Tier == Tiers.Gpu).Bytes);
        gpus.EndUse();
    }

    [Fact]
    public async Task Shard_that_another_gpu_of_the_taker_holds_is_not_taken_for_adopted()
    {
        var (shard, bytes, lease, gpus) = await OfferAsync(Host, new GpuMemory("host-1", 32 << 20));
        await _taker.Store.PutAsync(shard, bytes, ShardTarget.InGpu(1));
        using (lease)
        {
            Assert.False(await AdoptAsync(shard, gpus, lease));
        }

        Assert.Equal(1, _taker.Store.GpuOf(shard.Digest));
        gpus.EndUse();
    }

    [Fact]
    public async Task Broken_promise_leaves_nothing_behind()
    {
        var (shard, _, lease, gpus) = await OfferAsync();
        using (lease)
        {
            Assert.False(await _taker.Store.AdoptAsync(shard, gpus, 0, lease.Offset, 0, () => false, StoreFixture.Deadline));
        }

        Assert.Equal(Tiers.None, _taker.Store.Locate(shard.Digest));
        Assert.Equal(0, _taker.Store.Usage.Tiers.Single(tier => tier.Tier == Tiers.Gpu).Bytes);
        gpus.EndUse();
    }

    [Fact]
    public async Task Owner_that_started_again_is_not_believed()
    {
        var (shard, bytes, lease, gpus) = await OfferAsync();
        lease.Dispose();
        await _owner.ReopenAsync(gpus: Host);
        await _owner.Store.PutAsync(shard, bytes, ShardTarget.InGpu(0));

        // The file that was open is the former process's, and nobody says any more what is in it.
        Assert.Null(await Record.ExceptionAsync(async () => Assert.False(await _taker.Store.AdoptAsync(shard, gpus, 0, 0, 0, () => true, StoreFixture.Deadline))));
        Assert.False(_taker.Store.Contains(shard.Digest));
        gpus.EndUse();
    }

    [Fact]
    public async Task Node_without_gpu_memory_offers_none_and_opens_none()
    {
        await _owner.OpenAsync();
        await _taker.OpenAsync(gpus: Host);
        using var arena = ForeignArena.TryOpen(_owner.Store.Arena!.Path, out _)!;
        Assert.Null(_taker.Store.OpenForeignGpus(arena, out var none));
        Assert.Contains("no GPU memory", none, StringComparison.Ordinal);

        using var other = ForeignArena.TryOpen(_taker.Store.Arena!.Path, out _)!;
        Assert.Null(_owner.Store.OpenForeignGpus(other, out var without));
        Assert.Contains("no gpu tier", without, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("another nonce")]
    [InlineData("another version")]
    [InlineData("cut short")]
    [InlineData("too many")]
    [InlineData("too long")]
    [InlineData("no bytes")]
    [InlineData("no handle of a GPU")]
    [InlineData("empty")]
    public async Task What_is_told_of_gpus_is_refused_unless_it_is_sound(string wrong)
    {
        await _owner.OpenAsync(gpus: Host);
        await _taker.OpenAsync(gpus: Host);
        using var arena = ForeignArena.TryOpen(_owner.Store.Arena!.Path, out _)!;
        var bytes = new ArrayBufferWriter<byte>();
        var writer = new MessagePackWriter(bytes);
        writer.WriteArrayHeader(3);
        writer.Write(wrong == "another version" ? 2 : 1);
        writer.Write(wrong == "another nonce" ? new byte[16] : arena.Nonce.ToByteArray());
        var gpus = wrong == "too many" ? GpuMemory.MaxGpus + 1 : 1;
        writer.WriteArrayHeader(gpus);
        for (var i = 0; i < gpus; i++)
        {
            writer.WriteArrayHeader(3);
            writer.Write(wrong == "no handle of a GPU" ? "GPU-5f1c0e2a-0000-0000-0000-000000000000" : "host-0");
            writer.Write(wrong == "no bytes" ? 0L : 32L << 20);
            writer.Write(new byte[wrong == "too long" ? GpuExports.MaxHandleBytes + 1 : 8]);
        }

        writer.Flush();
        var length = wrong switch { "empty" => 0, "cut short" => bytes.WrittenCount - 3, _ => bytes.WrittenCount };
        await File.WriteAllBytesAsync(GpuExports.PathOf(arena.Path), bytes.WrittenMemory[..length].ToArray());

        Assert.Null(_taker.Store.OpenForeignGpus(arena, out var problem));
        Assert.False(string.IsNullOrEmpty(problem));
    }

    [Theory]
    [InlineData("../arena")]
    [InlineData("/etc/hostname")]
    [InlineData("")]
    [InlineData("..")]
    [InlineData("gpu-host-1")]
    public async Task Handle_that_is_no_file_beside_the_arena_opens_nothing(string name)
    {
        await _owner.OpenAsync(gpus: Host);
        await _taker.OpenAsync(gpus: Host);
        GpuExports.Write(_owner.Store.Arena!, [new GpuExport("host-0", Size, System.Text.Encoding.UTF8.GetBytes(name))]);
        var gpus = _taker.Store.OpenForeignGpus(ForeignArena.TryOpen(_owner.Store.Arena!.Path, out _)!, out _)!;
        var (shard, _) = _owner.NewShard(1000);

        await Assert.ThrowsAnyAsync<IOException>(() => _taker.Store.AdoptAsync(shard, gpus, 0, 0, 0, () => true, StoreFixture.Deadline).AsTask());

        Assert.Equal(0, _taker.Store.Usage.Tiers.Single(tier => tier.Tier == Tiers.Gpu).Bytes);
        gpus.EndUse();
    }

    private async Task<(ShardInfo Shard, byte[] Bytes, ShardLease Lease, ForeignGpus Gpus)> OfferAsync(params GpuMemory[] takers)
    {
        await _owner.OpenAsync(gpus: Host);
        await _taker.OpenAsync(gpus: takers.Length > 0 ? takers : [Host]);
        var (shard, bytes) = _owner.NewShard(Size);
        await _owner.Store.PutAsync(shard, bytes, ShardTarget.InGpu(0));
        var lease = await _owner.Store.LeaseInGpuAsync(shard.Digest, StoreFixture.Deadline);
        var gpus = _taker.Store.OpenForeignGpus(ForeignArena.TryOpen(_owner.Store.Arena!.Path, out _)!, out var problem);
        Assert.True(gpus is not null, problem);
        Assert.True(gpus.Has(0, lease!.Value.Offset, Size));
        Assert.False(gpus.Has(1, 0, Size) || gpus.Has(-1, 0, Size) || gpus.Has(0, -1, Size) || gpus.Has(0, 32 << 20, 1) || gpus.Has(0, long.MaxValue, Size));
        return (shard, bytes, lease.Value, gpus);
    }

    private Task<bool> AdoptAsync(ShardInfo shard, ForeignGpus gpus, ShardLease lease) =>
        _taker.Store.AdoptAsync(shard, gpus, lease.Gpu!.Value, lease.Offset, 0, () => true, StoreFixture.Deadline).AsTask();
}
