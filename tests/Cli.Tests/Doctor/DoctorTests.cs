using P2PWeights.Cli.Doctor;
using P2PWeights.Cli.Tests.Support;
using P2PWeights.Testing;
using Verdict = P2PWeights.Cli.Doctor.Outcome;

namespace P2PWeights.Cli.Tests.Doctor;

public sealed class DoctorTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Limits_are_read_from_the_kernels_table()
    {
        string[] lines =
        [
            "Limit                     Soft Limit           Hard Limit           Units     ",
            "Max locked memory         8388608              8388608              bytes     ",
            "Max open files            1024                 524288               files     ",
        ];

        Assert.Equal(new ProcessLimits(1024, 8388608), ProcessLimits.Parse(lines));
        Assert.Equal(new ProcessLimits(null, null), ProcessLimits.Parse(["Max open files            unlimited            unlimited            files     "]));
    }

    [Fact]
    public void Few_open_files_are_a_warning() => Assert.Equal(Verdict.Warning, MachineChecks.OpenFiles(new ProcessLimits(1024, null)).Outcome);

    [Theory]
    [InlineData(100L, 50L, true)]
    [InlineData(49L, 50L, false)]
    [InlineData(null, 50L, false)]
    [InlineData(null, 0L, true)]
    public void Memory_tier_must_fit_into_shared_memory(long? free, long wanted, bool fits) => Assert.Equal(!fits, MachineChecks.Arena("/dev/shm", free, wanted).Outcome == Verdict.Failure);

    [Fact]
    public void Free_space_of_a_folder_to_come_is_that_of_its_parent() => Assert.NotNull(MachineChecks.Free(_folder["a/b/c"]));

    [Fact]
    public async Task Doctor_needs_nothing_and_tells_where_settings_come_from()
    {
        File.WriteAllText(_folder["node.json"], """{ "disk": "1MiB", "memory": "16MiB" }""");
        var environment = new Dictionary<string, string?> { ["P2PW_NODE_MEMORY"] = "0", ["P2PW_NODE_DATA"] = _folder["data"] };

        var outcome = (await P2pw.RunAsync(environment, "doctor", "--config", _folder["node.json"], "--json")).Expect(0);

        var settings = outcome.Json.GetProperty("node_settings").EnumerateArray().ToDictionary(setting => setting.GetProperty("name").GetString()!, setting => setting);
        Assert.Equal("0", settings["memory"].GetProperty("value").GetString());
        Assert.Equal("P2PW_NODE_MEMORY", settings["memory"].GetProperty("source").GetString());
        Assert.Equal(_folder["node.json"], settings["disk"].GetProperty("source").GetString());
        Assert.Equal("default", settings["listen"].GetProperty("source").GetString());
        Assert.Contains(outcome.Json.GetProperty("findings").EnumerateArray(), finding => finding.GetProperty("check").GetString() == "hashing");
        Assert.False(Directory.Exists(_folder["data"]), "doctor only looks");
    }

    [Fact]
    public async Task Doctor_shows_the_paths_that_are_allowed_and_who_said_so()
    {
        var environment = new Dictionary<string, string?> { ["P2PW_NODE_MEMORY"] = "0", ["P2PW_NODE_PATHS"] = "rdma,tcp", ["P2PW_NODE_NO_RDMA"] = "true" };

        var outcome = (await P2pw.RunAsync(environment, "doctor", "--json")).Expect(0);

        var settings = outcome.Json.GetProperty("node_settings").EnumerateArray().ToDictionary(setting => setting.GetProperty("name").GetString()!, setting => setting);
        Assert.Equal(("rdma,tcp", "P2PW_NODE_PATHS"), (settings["paths"].GetProperty("value").GetString(), settings["paths"].GetProperty("source").GetString()));
        Assert.Equal("P2PW_NODE_NO_RDMA", settings["no-rdma"].GetProperty("source").GetString());
        var paths = outcome.Json.GetProperty("findings").EnumerateArray().Single(finding => finding.GetProperty("check").GetString() == "paths");
        Assert.Equal(("ok", "tcp; off: local, rdma"), (paths.GetProperty("outcome").GetString(), paths.GetProperty("detail").GetString()));
    }

    [Fact]
    public async Task Doctor_warns_of_paths_that_do_not_reach_everybody_and_fails_when_none_is_left()
    {
        var environment = new Dictionary<string, string?> { ["P2PW_NODE_MEMORY"] = "0", ["P2PW_NODE_PATHS"] = "rdma" };
        Assert.Contains("warn  paths", (await P2pw.RunAsync(environment, "doctor")).Expect(0).Output, StringComparison.Ordinal);

        environment["P2PW_NODE_NO_RDMA"] = "1";
        Assert.Contains("no path is left", (await P2pw.RunAsync(environment, "doctor")).Expect(1).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Doctor_fails_when_the_named_tracker_is_silent()
    {
        var outcome = (await P2pw.RunAsync(new Dictionary<string, string?> { ["P2PW_NODE_MEMORY"] = "0" }, "doctor", "--tracker", "http://127.0.0.1:1")).Expect(1);

        Assert.Contains("FAIL  tracker", outcome.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Doctor_of_a_named_node_looks_at_no_tracker_but_that_nodes()
    {
        var outcome = (await P2pw.RunAsync(new Dictionary<string, string?> { ["P2PW_NODE_MEMORY"] = "0", ["P2PW_NODE_TRACKER"] = "http://127.0.0.1:1" }, "doctor", "--node", _folder["no.sock"])).Expect(1);

        Assert.Contains("FAIL  node", outcome.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("does not answer", outcome.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Misspelt_variable_is_an_error()
    {
        var outcome = (await P2pw.RunAsync(new Dictionary<string, string?> { ["P2PW_NODE_MEMROY"] = "1" }, "doctor")).Expect(2);

        Assert.Contains("P2PW_NODE_MEMROY", outcome.Error, StringComparison.Ordinal);
    }
}
