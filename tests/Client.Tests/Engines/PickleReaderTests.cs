using System.Buffers;
using System.Text;
using P2PWeights.Client.Engines;
using P2PWeights.Client.Engines.StandIn;
using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.Engines;

public sealed class PickleReaderTests
{
    [Fact]
    public void Buckets_and_ends_are_read_as_they_were_written()
    {
        TensorRecord[] written = [new("a.weight", "BF16", [3, 5_000_000_000], 1L << 40), new("größe", "F8_E5M2", [], 0), new("b", "I64", [0], 8)];

        var read = ReceivedMessages.ReadStep(Write(output => EngineMessages.WriteTensors(output, [.. written])));

        Assert.Equal(written.Select(Text), read!.Value.Select(Text));
        Assert.Empty(ReceivedMessages.ReadStep(Write(output => EngineMessages.WriteTensors(output, [])))!.Value);
        Assert.Null(ReceivedMessages.ReadStep(Write(EngineMessages.WriteEnd)));

        static string Text(TensorRecord tensor) => $"{tensor.Name} {tensor.DType} {string.Join(',', tensor.Shape)} {tensor.Offset}";
    }

    [Fact]
    public void Slots_of_the_host_are_read_and_those_of_a_gpu_refused()
    {
        Assert.Equal(new HostSlotMemory("/dev/shm/x", 1L << 33), ReceivedMessages.ReadMemory(Write(output => EngineMessages.WriteMemory(output, new HostSlotMemory("/dev/shm/x", 1L << 33)))));
        Assert.Throws<InvalidDataException>(() => ReceivedMessages.ReadMemory(Write(output => EngineMessages.WriteMemory(output, new CudaSlotMemory("GPU-1", new byte[64], 0, 4096)))));
    }

    [Fact]
    public void A_failure_is_thrown_with_its_reason() => Assert.Contains(
        "no room", Assert.Throws<IOException>(() => ReceivedMessages.ReadStep(Write(output => EngineMessages.WriteFailure(output, "no room")))).Message, StringComparison.Ordinal);

    [Fact]
    public void Whatever_comes_is_read_or_refused()
    {
        var seeded = new Seeded();
        var message = Write(output => EngineMessages.WriteTensors(output, [new TensorRecord("a", "BF16", [3, 4], 256), new TensorRecord("b", "F32", [], 512)]));
        for (var length = 0; length < message.Length; length++)
        {
            var cut = message[..length];
            Assert.Throws<InvalidDataException>(() => PickleReader.Read(cut));
        }

        for (var round = 0; round < 20_000; round++)
        {
            var bytes = message.ToArray();
            bytes[seeded.Random.Next(bytes.Length)] = (byte)seeded.Random.Next(256);
            bytes[seeded.Random.Next(bytes.Length)] = (byte)seeded.Random.Next(256);
            try
            {
                ReceivedMessages.ReadStep(bytes);
            }
            catch (Exception refused) when (refused is InvalidDataException or IOException)
            {
                // Also an answer.
            }
            catch (Exception broken)
            {
                Assert.Fail($"{Convert.ToHexString(bytes)} ({seeded}): {broken}");
            }
        }
    }

    [Theory]
    [InlineData("\u0080\u0004N.")] // another protocol
    [InlineData("\u0080\u0003cos\nsystem\n(X\u0001\0\0\0xtRN.N.")] // what follows the end
    [InlineData("\u0080\u0003(((((((((((((((((N.")]
    [InlineData("\u0080\u0003X\u00ff\u00ff\u00ff\u007fx.")]
    [InlineData("\u0080\u0003X\u00ff\u00ff\u00ff\u00ffx.")]
    [InlineData("\u0080\u0003i.")]
    [InlineData("\u0080\u0003t.")]
    [InlineData("\u0080\u0003.")]
    public void What_is_none_of_ours_is_refused(string pickle) => Assert.Throws<InvalidDataException>(() => PickleReader.Read(Encoding.Latin1.GetBytes(pickle)));

    private static byte[] Write(Action<IBufferWriter<byte>> write)
    {
        var output = new ArrayBufferWriter<byte>();
        write(output);
        return output.WrittenSpan.ToArray();
    }
}
