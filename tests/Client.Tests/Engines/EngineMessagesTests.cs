using System.Buffers;
using System.Text.Json;
using P2PWeights.Client.Engines;
using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.Engines;

/// <summary>Every message is read back by Python's own pickle.</summary>
public sealed class EngineMessagesTests
{
    private static readonly byte[] Handle = [.. Enumerable.Range(0, 64).Select(at => (byte)(at * 5))];

    [Fact]
    public async Task Slots_of_a_gpu_are_torchs_function_and_its_fifteen_arguments()
    {
        var read = await ReadAsync(output => EngineMessages.WriteMemory(output, new CudaSlotMemory("GPU-1", Handle, 512, 5L << 30)));
        var call = read.GetProperty("tuple");
        Assert.Equal("fake_torch.rebuild_cuda_tensor", call[0].GetString());
        Assert.Equal(
            $$"""
            ["fake_torch.Tensor",{"tuple":[5368709120]},{"tuple":[1]},0,"fake_torch.TypedStorage","torch.uint8",0,"bytes 0163{{Convert.ToHexStringLower(Handle)}}",5368709120,512,false,"bytes 2f703270776569676874732d6e6f6e65",0,"bytes {{new string('0', 128)}}",false]
            """,
            JsonSerializer.Serialize(call[1].GetProperty("tuple")));
    }

    [Fact]
    public async Task Slots_of_the_host_are_a_path_and_a_size()
    {
        var read = await ReadAsync(output => EngineMessages.WriteMemory(output, new HostSlotMemory("/dev/shm/ü", 4096)));
        Assert.Equal(["host", "/dev/shm/ü", "4096"], read.GetProperty("tuple").EnumerateArray().Select(one => one.ToString()));
    }

    [Fact]
    public async Task A_bucket_is_a_list_of_records()
    {
        var read = await ReadAsync(output => EngineMessages.WriteTensors(output, [new TensorRecord("ü\n\"", "BF16", [3, 1L << 40], 1L << 33), new TensorRecord("", "U8", [], 0)]));
        Assert.Equal(2, read.GetArrayLength());
        Assert.Equal("ü\n\"", read[0].GetProperty("name").GetString());
        Assert.Equal("torch.bfloat16", read[0].GetProperty("dtype").GetString());
        Assert.Equal([3, 1L << 40], read[0].GetProperty("shape").GetProperty("tuple").EnumerateArray().Select(one => one.GetInt64()));
        Assert.Equal(1L << 33, read[0].GetProperty("offset").GetInt64());
        Assert.Empty(read[1].GetProperty("shape").GetProperty("tuple").EnumerateArray());
        Assert.Equal(4, read[1].EnumerateObject().Count());
    }

    [Fact]
    public async Task An_empty_bucket_is_a_list_and_no_end() =>
        Assert.Equal("[]", (await ReadAsync(output => EngineMessages.WriteTensors(output, []))).GetRawText());

    [Fact]
    public async Task The_end_is_none_and_a_failure_is_an_exception()
    {
        Assert.Equal(JsonValueKind.Null, (await ReadAsync(EngineMessages.WriteEnd)).ValueKind);
        Assert.Equal(["RuntimeError", "é\nb"], (await ReadAsync(output => EngineMessages.WriteFailure(output, "é\nb"))).EnumerateArray().Select(one => one.GetString()));
    }

    [Fact]
    public async Task Every_dtype_has_a_name_and_a_size_that_python_agrees_with()
    {
        string[] dtypes = ["BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "BF16", "F32", "F64", "C64", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"];
        var read = await ReadAsync(output => EngineMessages.WriteTensors(output, [.. dtypes.Select(dtype => new TensorRecord(dtype, dtype, [], 0))]));
        Assert.Equal(dtypes.Select(dtype => $"torch.{EngineDType.TorchName(dtype)}"), read.EnumerateArray().Select(one => one.GetProperty("dtype").GetString()));
    }

    [Fact]
    public void A_handle_of_another_length_is_the_callers_mistake() =>
        Assert.Throws<ArgumentException>(() => EngineMessages.WriteMemory(new ArrayBufferWriter<byte>(), new CudaSlotMemory("GPU-1", new byte[63], 0, 1)));

    private static async Task<JsonElement> ReadAsync(Action<IBufferWriter<byte>> write)
    {
        var output = new ArrayBufferWriter<byte>();
        write(output);
        await using var python = new PythonProcess("read_pickles.py");
        await python.WriteLineAsync(Convert.ToHexString(output.WrittenSpan));
        return await python.ReadAsync();
    }
}
