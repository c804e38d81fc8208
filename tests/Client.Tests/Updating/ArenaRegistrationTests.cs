using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Client.Engines;
using P2PWeights.Client.Updating;
using P2PWeights.Client.Updating.Devices;
using P2PWeights.Native;
using P2PWeights.Store;
using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.Updating;

public sealed class ArenaRegistrationTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Arena_is_registered_once_and_what_came_of_it_said_once(bool fails)
    {
        using var folder = new TempFolder();
        await using var store = await OpenAsync(folder, memoryBytes: 16 << 20);
        using var devices = new Devices(fails);
        var log = new KeptLog();
        using (var arena = new ArenaRegistration(store, log))
        {
            Assert.Equal(!fails, arena.TryRegister(devices));
            Assert.Equal(!fails, arena.TryRegister(devices));
        }

        Assert.Equal((store.Regions[0].Address, store.Regions[0].Length), Assert.Single(devices.Asked));
        Assert.Equal(fails ? LogLevel.Warning : LogLevel.Information, Assert.Single(log.Said).Level);
        Assert.Equal(fails, log.Said[0].Text.Contains("CUDA cuMemHostRegister", StringComparison.Ordinal));
        Assert.Equal(fails ? 0 : 1, devices.Released);
    }

    [Fact]
    public async Task Node_without_memory_has_nothing_to_register()
    {
        using var folder = new TempFolder();
        await using var store = await OpenAsync(folder, memoryBytes: 0);
        using var devices = new Devices(fails: false);
        using var arena = new ArenaRegistration(store, NullLogger.Instance);

        Assert.False(arena.TryRegister(devices));
        Assert.Empty(devices.Asked);
    }

    private static Task<ShardStore> OpenAsync(TempFolder folder, long memoryBytes) => ShardStore.OpenAsync(
        new StoreOptions { DataDirectory = folder["data"], ArenaRoot = Directory.CreateDirectory(folder["arena"]).FullName, MemoryBytes = memoryBytes, Ephemeral = true },
        TimeProvider.System, NullLoggerFactory.Instance, CancellationToken.None);

    /// <summary>Devices that can do nothing but pin memory, or not even that.</summary>
    private sealed class Devices(bool fails) : IUpdateDevices
    {
        public List<(nint Address, long Length)> Asked { get; } = [];

        public int Released { get; private set; }

        public IDisposable Register(nint address, long length)
        {
            Asked.Add((address, length));
            return fails ? throw new NativeException("CUDA", "cuMemHostRegister", 2, "CUDA_ERROR_OUT_OF_MEMORY, out of memory", $"{length} bytes of host memory") : new Registration(this);
        }

        public IUpdateDevice Open(EngineDevice device) => throw new NotSupportedException();

        public ICollective OpenCollective(IReadOnlyList<IUpdateDevice> devices) => throw new NotSupportedException();

        public void Dispose()
        {
        }

        private sealed class Registration(Devices devices) : IDisposable
        {
            public void Dispose() => devices.Released++;
        }
    }

    /// <summary>Keeps what is said.</summary>
    private sealed class KeptLog : ILogger
    {
        public List<(LogLevel Level, string Text)> Said { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Said.Add((logLevel, formatter(state, exception)));
    }
}
