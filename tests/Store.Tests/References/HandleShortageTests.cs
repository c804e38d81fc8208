using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Store.Tests.References;

/// <summary>A process that is out of file handles learns nothing of the files that it cannot open. In a process of its own, so that no other test runs out with it.</summary>
public sealed class HandleShortageTests
{
    /// <summary>First argument of the process that runs out.</summary>
    public const string Mode = "out-of-handles";

    [Fact]
    public async Task Reference_is_kept_when_its_file_cannot_be_opened_for_want_of_handles()
    {
        await using var fixture = new StoreFixture();
        var start = new ProcessStartInfo("/bin/sh") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in (string[])["-c", "ulimit -n 400 && exec \"$@\"", "sh", Environment.ProcessPath!, "exec", typeof(HandleShortageTests).Assembly.Location, Mode, fixture.DataFolder, fixture["weights.bin"]])
        {
            start.ArgumentList.Add(argument);
        }

        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync(StoreFixture.Deadline);
        var output = await process.StandardOutput.ReadToEndAsync(StoreFixture.Deadline);
        await process.WaitForExitAsync(StoreFixture.Deadline);

        Assert.True(output == "refused Io, then served\n", $"{output}{await errors}");
    }

    /// <summary>What the process does.</summary>
    public static async Task<int> RunAsync(string dataFolder, string path)
    {
        var options = new StoreOptions { DataDirectory = dataFolder, ScrubBytesPerSecond = 0 };
        await using var store = await ShardStore.OpenAsync(options, TimeProvider.System, NullLoggerFactory.Instance, default);

        // The first file only loads the code that the second needs.
        await ReferenceAsync(store, path + ".first", [1, 2, 3]);
        using (await store.LeaseAsync(Blake3.Hash([1, 2, 3]), default))
        {
        }

        await ReferenceAsync(store, path, [4, 5, 6]);
        var taken = new Stack<SafeFileHandle>();
        try
        {
            while (true)
            {
                taken.Push(File.OpenHandle("/dev/null"));
            }
        }
        catch (IOException)
        {
            // That was the last one.
        }

        StoreError? refused = null;
        try
        {
            using var lease = await store.LeaseAsync(Blake3.Hash([4, 5, 6]), default);
        }
        catch (StoreException failure)
        {
            refused = failure.Error;
        }

        foreach (var handle in taken)
        {
            handle.Dispose();
        }

        using var again = await store.LeaseAsync(Blake3.Hash([4, 5, 6]), default);
        Console.Write($"refused {refused}, then {(again is null ? "lost" : "served")}\n");
        return 0;
    }

    private static async Task ReferenceAsync(ShardStore store, string path, byte[] bytes)
    {
        await File.WriteAllBytesAsync(path, bytes);
        FileIdentity identity;
        using (var file = File.OpenHandle(path))
        {
            identity = FileIdentity.Of(file);
        }

        await store.ReferenceAsync(path, identity, [new FileExtent(new ShardInfo(Blake3.Hash(bytes), bytes.Length), 0)], default);
    }
}
