using System.Globalization;
using P2PWeights.Cli.Tests.Support;
using P2PWeights.Native.Posix;
using P2PWeights.Testing;

namespace P2PWeights.Cli.Tests.Demo;

/// <summary>The demo as a process, in a temporary folder of its own, so that what it leaves can be told from what others do.</summary>
[Collection("demo")]
public sealed class DemoTests : IDisposable
{
    private readonly TempFolder _temp = new();
    private readonly HashSet<string> _arenasBefore = Arenas();

    public void Dispose() => _temp.Dispose();

    [Fact]
    public async Task Demo_proves_every_byte_and_leaves_nothing()
    {
        var outcome = (await P2pw.RunAsync(Environment, "demo", "--size", "24MiB", "--peers", "2", "--json")).Expect(0);

        Assert.True(outcome.Json.GetProperty("ok").GetBoolean());
        Assert.True(outcome.Json.GetProperty("files_compared").GetInt32() > 0);
        Assert.Equal(2, outcome.Json.GetProperty("pulls").GetArrayLength());
        var fetched = outcome.Json.GetProperty("pulls").EnumerateArray().Sum(pull => pull.GetProperty("report").GetProperty("bytes_fetched").GetInt64());
        Assert.True(fetched > 0);
        Assert.True(outcome.Json.GetProperty("publisher_copies").GetDouble() >= 1);
        await AssertNothingLeftAsync();
    }

    [Fact]
    public async Task Demo_with_a_checkpoint_of_the_users_leaves_it_alone()
    {
        var mine = SmallCheckpoint.Write(_temp["mine"], 8 << 20);
        var copy = SmallCheckpoint.Write(_temp["copy"], 8 << 20);

        var outcome = (await P2pw.RunAsync(Environment, "demo", "--checkpoint", mine, "--peers", "1")).Expect(0);

        Assert.Contains("all equal", outcome.Output, StringComparison.Ordinal);
        SmallCheckpoint.AssertSame(copy, mine);
    }

    [Theory]
    [InlineData(PosixSignalNumber.Interrupt, 130)]
    [InlineData(PosixSignalNumber.Terminate, 143)]
    public async Task Demo_that_is_stopped_leaves_nothing(PosixSignalNumber signal, int exitCode)
    {
        using var demo = P2pw.Start(Environment, "demo", "--size", "256MiB", "--peers", "2");
        // The line of the step before the pull: nodes run, files are there, work is under way.
        await Eventually.TrueAsync("the demo starts its nodes", () => demo.OutputSoFar.Contains("✓ start", StringComparison.Ordinal) || demo.HasExited);

        demo.Signal(signal);

        (await demo.FinishAsync()).Expect(exitCode);
        await AssertNothingLeftAsync();
    }

    [Fact]
    public async Task Demo_that_is_killed_takes_its_processes_with_it()
    {
        using var demo = P2pw.Start(Environment, "demo", "--size", "256MiB", "--peers", "2");
        await Eventually.TrueAsync("the demo starts its nodes", () => demo.OutputSoFar.Contains("✓ start", StringComparison.Ordinal) || demo.HasExited);
        Assert.NotEmpty(ProcessesUsing(_temp.Path));

        await demo.KillAsync();

        await Eventually.TrueAsync("processes end with the demo", () => ProcessesUsing(_temp.Path).Count == 0);
        await Eventually.TrueAsync("arenas go", () => !Arenas().Except(_arenasBefore).Any());
    }

    [Fact]
    public async Task Demo_that_does_not_fit_says_so_and_makes_nothing()
    {
        var outcome = (await P2pw.RunAsync(Environment, "demo", "--size", "900TiB", "--peers", "1")).Expect(8);

        Assert.Contains("Nothing was made", outcome.Error, StringComparison.Ordinal);
        await AssertNothingLeftAsync();
    }

    private Dictionary<string, string?> Environment => new()
    {
        ["TMPDIR"] = _temp.Path,
        // The runtime's own sockets in TMPDIR; a killed process cannot remove them.
        ["DOTNET_EnableDiagnostics"] = "0",
    };

    private async Task AssertNothingLeftAsync()
    {
        Assert.Empty(ProcessesUsing(_temp.Path));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_temp.Path));
        // Arenas of tests that run beside this one come and go.
        await Eventually.TrueAsync("no arena is left", () => !Arenas().Except(_arenasBefore).Any());
    }

    private static HashSet<string> Arenas() => [.. Directory.EnumerateFileSystemEntries("/dev/shm", "p2pweights-*")];

    /// <summary>Processes whose command line or environment names a folder.</summary>
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
