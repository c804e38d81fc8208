using P2PWeights.Client.Engines;

namespace P2PWeights.Client.Tests.Engines;

public sealed class ScriptedEngineTests
{
    private static readonly HostSlotMemory Memory = new("/dev/shm/none", 1024);
    private static readonly TensorRecord Tensor = new("t", "F32", [2], 0);

    [Fact]
    public async Task Steps_in_order_are_remembered_with_what_was_loaded()
    {
        await using var channel = new ScriptedEngineChannel(new EngineDevice("host-0"));
        await channel.OpenAsync(Memory, default);
        await channel.LoadAsync([Tensor], default);
        await channel.LoadAsync([], default);
        await channel.ReleaseAsync(default);
        await channel.FinishAsync(default);
        await channel.AbortAsync("too late");

        Assert.Equal(["open", "load 0", "load 1", "release", "finish"], channel.Steps);
        Assert.Equal([1, 0], channel.Loaded.Select(bucket => bucket.Length));
        Assert.Null(channel.AbortReason);
    }

    [Fact]
    public async Task A_step_that_throws_leaves_only_the_abort()
    {
        await using var channel = new ScriptedEngineChannel(
            new EngineDevice("host-0"),
            (step, _) => step == "load 1" ? throw new EngineException(EngineError.Raised, "no room") { Traceback = "Traceback" } : Task.CompletedTask);
        await channel.OpenAsync(Memory, default);
        await channel.LoadAsync([Tensor], default);
        var failure = await Assert.ThrowsAsync<EngineException>(() => channel.LoadAsync([Tensor], default));
        await channel.AbortAsync("one rank failed");

        Assert.Equal(EngineError.Raised, failure.Error);
        Assert.Equal(["open", "load 0", "load 1", "load 1 failed", "abort"], channel.Steps);
        Assert.Single(channel.Loaded);
    }

    [Fact]
    public void A_device_is_the_hosts_or_a_gpu()
    {
        Assert.True(new EngineDevice("host-0").IsHost);
        Assert.False(new EngineDevice("GPU-1b2c3d4e-0000-0000-0000-000000000000").IsHost);
    }

    [Theory]
    [InlineData("BOOL"), InlineData("U8"), InlineData("I8"), InlineData("U16"), InlineData("I16"), InlineData("U32"), InlineData("I32"), InlineData("U64"), InlineData("I64")]
    [InlineData("F16"), InlineData("BF16"), InlineData("F32"), InlineData("F64"), InlineData("C64"), InlineData("F8_E4M3"), InlineData("F8_E5M2"), InlineData("F8_E8M0")]
    [InlineData("F8_E4M3FNUZ"), InlineData("F8_E5M2FNUZ"), InlineData("F4"), InlineData("F6_E2M3"), InlineData("X9")]
    public void A_dtype_with_a_name_in_torch_has_a_size_and_no_other_has(string dtype) =>
        Assert.Equal(EngineDType.TorchName(dtype) is not null, EngineDType.Size(dtype) > 0);
}
