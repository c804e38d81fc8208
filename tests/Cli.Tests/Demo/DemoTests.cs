using System.Globalization;
using P2PWeights.Cli.Tests.Support;
using P2PWeights.Native.Posix;
using P2PWeights.Testing;

namespace P2PWeights.Cli.Tests.Demo;

/// <summary>The demo as a process, in a temporary folder of its own, so that what it leaves can be told from what others do.</summary>
public sealed class DemoTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    [Fact]
    public async Task Demo_proves_every_byte_and_reports_in_json()
    {
        var outcome = (await P2pw.RunAsync(Environment, "demo", "--size", "24MiB", "--peers", "2", "--json")).Expect(0);

        Assert.True(outcome.Json.GetProperty("ok").GetBoolean());
        Assert.True(outcome.Json.GetProperty("files_compared").GetInt32() > 0);
        Assert.Equal(2, outcome.Json.GetProperty("pulls").GetArrayLength());
        Assert.All(outcome.Json.GetProperty("pulls").EnumerateArray(), pull =>
            Assert.Equal(pull.GetProperty("report").GetProperty("bytes").GetInt64(), pull.GetProperty("report").GetProperty("bytes_fetched").GetInt64()));
        Assert.True(outcome.Json.GetProperty("publisher_copies").GetDouble() >= 1);
        var update = outcome.Json.GetProperty("update");
        Assert.True(update.GetProperty("verified").GetBoolean());
        Assert.Equal(2, update.GetProperty("engines").GetArrayLength());
        AssertNothingLeft([]);
    }

    [Fact]
    public async Task Demo_with_a_checkpoint_of_the_users_leaves_only_that()
    {
        using var mine = new TempFolder();
        SmallCheckpoint.Write(mine["original"], 64 << 20);
        SmallCheckpoint.Write(mine["copy"], 64 << 20);
        using var demo = P2pw.Start(Environment, "demo", "--checkpoint", mine["original"], "--peers", "1");
        var arenas = await ArenasAsync(demo, nodes: 2);

        var outcome = (await demo.FinishAsync()).Expect(0);

        Assert.Contains("byte by byte against the original: equal", outcome.Output, StringComparison.Ordinal);
        Assert.Contains("1 tensor in 2 engines, read back by them, SHA-256: equal", outcome.Output, StringComparison.Ordinal);
        SmallCheckpoint.AssertSame(mine["copy"], mine["original"]);
        AssertNothingLeft(arenas);
    }

    [Theory]
    [InlineData(PosixSignalNumber.Interrupt, 130)]
    [InlineData(PosixSignalNumber.Terminate, 143)]
    public async Task Demo_that_is_stopped_leaves_nothing(PosixSignalNumber signal, int exitCode)
    {
        using var demo = P2pw.Start(Environment, "demo", "--size", "128MiB", "--peers", "2");
        var arenas = await ArenasAsync(demo, nodes: 3);

        demo.Signal(signal);

        (await demo.FinishAsync()).Expect(exitCode);
        AssertNothingLeft(arenas);
    }

    [Fact]
    public async Task Demo_that_is_killed_takes_its_processes_and_arenas_with_it()
    {
        using var demo = P2pw.Start(Environment, "demo", "--size", "128MiB", "--peers", "2");
        var arenas = await ArenasAsync(demo, nodes: 3);
        Assert.NotEmpty(ProcessesUsing(_temp.Path));

        await demo.KillAsync();

        await Eventually.HoldsAsync(() => ProcessesUsing(_temp.Path).Count == 0, "processes end with the demo");
        Assert.DoesNotContain(arenas, Directory.Exists);
    }

    [Fact]
    public async Task Demo_that_does_not_fit_says_so_and_makes_nothing()
    {
        var outcome = (await P2pw.RunAsync(Environment, "demo", "--size", "900TiB", "--peers", "1")).Expect(8);

        Assert.Contains("Nothing was made", outcome.Error, StringComparison.Ordinal);
        AssertNothingLeft([]);
    }

    private Dictionary<string, string?> Environment => new()
    {
        ["TMPDIR"] = _temp.Path,
        // The runtime's own sockets in TMPDIR; a killed process cannot remove them.
        ["DOTNET_EnableDiagnostics"] = "0",
    };

    /// <summary>Waits until the nodes run and the work is under way; gives their arenas, which carry the nodes' ids.</summary>
    private async Task<List<string>> ArenasAsync(RunningCommand demo, int nodes)
    {
        await Eventually.HoldsAsync(() => demo.OutputSoFar.Contains("✓ start", StringComparison.Ordinal) || demo.HasExited, "the demo starts its nodes");
        var arenas = Directory.EnumerateFiles(_temp.Path, "node-id", SearchOption.AllDirectories).Select(file => Cluster.Arena(File.ReadAllText(file))).ToList();
        Assert.Equal(nodes, arenas.Count);
        Assert.All(arenas, arena => Assert.True(Directory.Exists(arena), arena));
        return arenas;
    }

    private void AssertNothingLeft(List<string> arenas)
    {
        Assert.Empty(ProcessesUsing(_temp.Path));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_temp.Path));
        Assert.DoesNotContain(arenas, Directory.Exists);
    }

    /// <summary>Processes whose command line names a folder.</summary>
    private static List<int> ProcessesUsing(string folder)
    {
        List<int> found = [];
        foreach (var process in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(process), NumberStyles.None, CultureInfo.InvariantCulture, out var id))
                continue;
            try
            {
                if (File.ReadAllText(Path.Combine(process, "cmdline")).Contains(folder, StringComparison.Ordinal))
                    found.Add(id);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // It ended while we looked, or is somebody else's.
            }
        }

        return found;
    }
}
