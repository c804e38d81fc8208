using P2PWeights.Cli.Tests.Support;
using P2PWeights.Testing;

namespace P2PWeights.Cli.Tests;

public sealed class SimCommandTests
{
    [Fact]
    public async Task Sim_says_how_near_the_bound_it_came_and_draws_it()
    {
        using var folder = new TempFolder();
        var svg = folder["swarm.svg"];
        var document = (await P2pw.RunAsync("sim", "--peers", "8", "--shards", "64", "--seed", "3", "--svg", svg, "--json")).Expect(0).Json;
        Assert.InRange(document.GetProperty("last_over_bound").GetDouble(), 1, 1.5);
        Assert.InRange(document.GetProperty("p99_over_bound").GetDouble(), 1, document.GetProperty("last_over_bound").GetDouble());
        Assert.InRange(document.GetProperty("p50_over_bound").GetDouble(), 1, document.GetProperty("p99_over_bound").GetDouble());
        Assert.InRange(document.GetProperty("publisher_copies").GetDouble(), 1, 2);
        Assert.Contains("</svg>", await File.ReadAllTextAsync(svg), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sim_says_what_is_how_many_times_which_bound()
    {
        var output = (await P2pw.RunAsync("sim", "--peers", "4", "--shards", "16", "--late", "1", "--slow", "0.3")).Expect(0).Output;

        Assert.Matches(@"(?m)^  last peer   \d\.\d{3} x the bound$", output);
        Assert.Matches(@"(?m)^  p50         \d\.\d{3} x the bound$", output);
        Assert.Matches(@"(?m)^  slow peers  last \d\.\d{3} x their own bound, p50 \d\.\d{3} x$", output);
        Assert.Matches(@"(?m)^  late peers  last \d\.\d{3} x their own bound, p50 \d\.\d{3} x$", output);
        Assert.Contains("The bound is the least time that any plan needs", output, StringComparison.Ordinal);
        Assert.Contains("The bound is", string.Join(' ', (await P2pw.RunAsync("sim", "--help")).Expect(0).Output.Split(default(char[]), StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sim_without_a_folder_for_its_picture_says_so_before_it_runs()
    {
        using var folder = new TempFolder();
        var missing = (await P2pw.RunAsync("sim", "--peers", "4", "--shards", "16", "--svg", Path.Combine(folder["no"], "swarm.svg"))).Expect(2);
        Assert.Contains($"--svg: there is no folder {folder["no"]}. Nothing was simulated", missing.Error, StringComparison.Ordinal);
        Assert.Contains("is a folder, not a file", (await P2pw.RunAsync("sim", "--peers", "4", "--shards", "16", "--svg", folder.Path)).Expect(2).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sim_refuses_what_cannot_be_simulated() =>
        Assert.Contains("peers: must be", (await P2pw.RunAsync("sim", "--peers", "0")).Expect(2).Error, StringComparison.Ordinal);
}
