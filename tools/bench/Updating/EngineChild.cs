using System.CommandLine;
using System.Text.Json;
using P2PWeights.Bench.Measuring;
using P2PWeights.Native;
using P2PWeights.Native.Cuda;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Bench.Updating;

/// <summary>
/// What <c>bench update</c> runs once per device: a process with its own parameters, which opens the slots, copies every tensor of a bucket into them, waits until they are there,
/// and answers. What an engine does, without its framework. Talks in lines of JSON on its standard input and output.
/// </summary>
internal static class EngineChild
{
    public const string Name = "update-engine";

    private const string Released = "released";
    private const int IpcHandleBytes = 64;

    public static Command CreateCommand()
    {
        var device = new Argument<string>("device");
        var largest = new Argument<long>("largest");
        var command = new Command(Name, "One engine of 'bench update'; started by it.") { device, largest };
        command.Hidden = true;
        command.SetAction((arguments, _) => Task.FromResult(Run(arguments.GetValue(device)!, arguments.GetValue(largest))));
        return command;
    }

    private static int Run(string device, long largest)
    {
        // A real engine has been running for long: its device is open and its parameters are there before an update begins.
        using Parameters parameters = device.StartsWith("GPU-", StringComparison.Ordinal) ? new GpuParameters(device, largest) : new HostParameters(largest);
        // So has its code: compiling it, and the first use of a serializer, take tens of milliseconds, which are no part of an update either.
        try
        {
            Answer(parameters, $$$"""{"do":"open","path":"/proc/self/exe","size":4096,"handle":"{{{new string('0', 2 * IpcHandleBytes)}}}"}""");
            parameters.Release();
        }
        catch (NativeException)
        {
            // As it should be on a GPU: that is no handle.
        }

        Answer(parameters, """{"do":"load","ranges":[],"verify":true}""");
        Answer(parameters, """{"do":"load","ranges":[],"verify":false}""");
        Console.Out.WriteLine(JsonSerializer.Serialize("ready"));
        while (Console.In.ReadLine() is { } line)
        {
            var answer = Answer(parameters, line);
            Console.Out.WriteLine(JsonSerializer.Serialize(answer));
            if (answer == Released)
            {
                return 0;
            }
        }

        return 1;
    }

    private static string Answer(Parameters parameters, string line)
    {
        using var message = JsonDocument.Parse(line);
        var root = message.RootElement;
        switch (root.GetProperty("do").GetString())
        {
            case "open":
                parameters.Open(root);
                return "open";
            case "load":
                long[] ranges = [.. root.GetProperty("ranges").EnumerateArray().Select(number => number.GetInt64())];
                parameters.Load(ranges);
                return root.GetProperty("verify").GetBoolean() ? parameters.Digest(ranges) : "";
            case "release":
                parameters.Release();
                return Released;
            case var unknown:
                throw new BenchException($"'{unknown}' is nothing that an engine does");
        }
    }

    /// <summary>Room for the tensors of a bucket, packed.</summary>
    private abstract class Parameters : IDisposable
    {
        /// <summary>Maps the slots.</summary>
        public abstract void Open(JsonElement memory);

        /// <summary>Lets go of the slots.</summary>
        public abstract void Release();

        /// <param name="ranges">Offset in the slots and length, in turns.</param>
        public abstract void Load(long[] ranges);

        /// <summary>The digest of what was loaded last.</summary>
        public abstract string Digest(long[] ranges);

        public abstract void Dispose();

        protected static int Total(long[] ranges) => checked((int)ranges.Where((_, index) => index % 2 == 1).Sum());
    }

    private sealed unsafe class GpuParameters : Parameters
    {
        private readonly CudaDevice _device;
        private readonly CudaMemory _memory;
        private readonly CudaStream _stream;
        private CudaSharedMemory? _slots;

        public GpuParameters(string uuid, long largest)
        {
            _device = CudaDevice.Open(CudaDevice.Uuids.ToList().IndexOf(uuid));
            _memory = CudaMemory.Allocate(_device, largest);
            _stream = CudaStream.Create(_device);
        }

        public override void Open(JsonElement memory) => _slots = CudaSharedMemory.Open(_device, Convert.FromHexString(memory.GetProperty("handle").GetString()!));

        public override void Release() => _slots?.Dispose();

        public override void Load(long[] ranges)
        {
            var at = _memory.Address;
            for (var i = 0; i < ranges.Length; i += 2)
            {
                _stream.Copy(at, _slots!.Address + (nint)ranges[i], ranges[i + 1]);
                at += (nint)ranges[i + 1];
            }

            _stream.Synchronize();
        }

        public override string Digest(long[] ranges)
        {
            var bytes = new byte[Total(ranges)];
            fixed (byte* host = bytes)
            {
                _stream.CopyOut((nint)host, _memory.Address, bytes.Length);
                _stream.Synchronize();
            }

            return Blake3.Hash(bytes).ToString();
        }

        public override void Dispose()
        {
            _stream.Dispose();
            _memory.Dispose();
            Release();
            _device.Dispose();
        }
    }

    private sealed unsafe class HostParameters : Parameters
    {
        private readonly MemoryMapping _memory;
        private MemoryMapping? _slots;

        public HostParameters(long largest) => _memory = MemoryMapping.CreateAnonymous(largest);

        public override void Open(JsonElement memory)
        {
            using var file = File.OpenHandle(memory.GetProperty("path").GetString()!, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            _slots = MemoryMapping.Create(file, 0, memory.GetProperty("size").GetInt64(), writable: false, shared: true);
        }

        public override void Release() => _slots?.Dispose();

        public override void Load(long[] ranges)
        {
            var at = _memory.Address;
            for (var i = 0; i < ranges.Length; i += 2)
            {
                Buffer.MemoryCopy(_slots!.Address + ranges[i], at, ranges[i + 1], ranges[i + 1]);
                at += ranges[i + 1];
            }
        }

        public override string Digest(long[] ranges) => Blake3.Hash(new ReadOnlySpan<byte>(_memory.Address, Total(ranges))).ToString();

        public override void Dispose()
        {
            Release();
            _memory.Dispose();
        }
    }
}
