using System.CommandLine;
using P2PWeights.Cli.Settings;
using P2PWeights.Client;
using P2PWeights.Testing;

namespace P2PWeights.Cli.Tests.Settings;

public sealed class SettingsReaderTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly Setting<long> _memory = new("memory", "SIZE", "Memory.", Texts.ParseBytes, "1MiB");
    private readonly Setting<bool> _insecure = new("insecure", "", "Insecure.", Texts.ParseSwitch, "false");
    private readonly Setting<string> _advertise = new("advertise", "HOST:PORT", "Advertise.", Texts.ParseEndpoint);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Nothing_set_gives_the_default() => Check(1 << 20, "default", flags: "", variable: null, file: null);

    [Fact]
    public void File_beats_default() => Check(4 << 20, _folder["c.json"], flags: "", variable: null, file: "4MiB");

    [Fact]
    public void Environment_beats_file() => Check(3 << 20, "P2PW_NODE_MEMORY", flags: "", variable: "3MiB", file: "4MiB");

    [Fact]
    public void Flag_beats_environment() => Check(2 << 20, "--memory", flags: "--memory 2MiB", variable: "3MiB", file: "4MiB");

    [Fact]
    public void Switch_is_on_when_named_alone() => Assert.True(Read("--insecure", []).Required(_insecure));

    [Fact]
    public void Switch_can_be_turned_off_over_the_file()
    {
        var reader = Read("--insecure false", [], """{ "insecure": true }""");

        Assert.False(reader.Required(_insecure));
    }

    [Fact]
    public void Setting_without_default_is_optional_or_demanded()
    {
        var reader = Read("", []);

        Assert.Null(reader.Optional(_advertise));
        Assert.Equal(NodeError.Usage, Assert.Throws<NodeException>(() => reader.Required(_advertise)).Error);
    }

    [Fact]
    public void Every_fault_is_reported_at_once()
    {
        var environment = new Dictionary<string, string> { ["P2PW_NODE_MEMROY"] = "1", ["P2PW_TRACKER_LEASE"] = "not ours", ["P2PW_NODE"] = "a socket", ["P2PW_MEMORY"] = "2MiB" };

        var exception = Assert.Throws<NodeException>(() => Read("--memory much --advertise x", environment, """{ "memroy": 1 }"""));

        Assert.Equal(NodeError.Usage, exception.Error);
        Assert.Contains("memory (from --memory): 'much'", exception.Message, StringComparison.Ordinal);
        Assert.Contains("advertise (from --advertise): 'x'", exception.Message, StringComparison.Ordinal);
        Assert.Contains("P2PW_NODE_MEMROY", exception.Message, StringComparison.Ordinal);
        Assert.Contains("environment variable P2PW_MEMORY: there is no such setting; memory is P2PW_NODE_MEMORY.", exception.Message, StringComparison.Ordinal);
        Assert.Contains("'memroy'", exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("P2PW_TRACKER", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[]", "one JSON object")]
    [InlineData("{", "not JSON")]
    [InlineData("""{ "memory": null }""", "'memory'")]
    [InlineData("""{ "memory": [1] }""", "'memory'")]
    [InlineData("""{ "memory": "1", "memory": "2" }""", "twice")]
    public void File_that_is_no_configuration_is_refused_with_the_reason(string text, string reason)
    {
        var exception = Assert.Throws<NodeException>(() => Read("", [], text));

        Assert.Equal(NodeError.Usage, exception.Error);
        Assert.Contains(reason, exception.Message, StringComparison.Ordinal);
        Assert.Contains(_folder["c.json"], exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void File_may_hold_lists_objects_numbers_and_comments()
    {
        File.WriteAllText(_folder["c.json"], """
            {
              // two trackers
              "tracker": ["http://a:1", "http://b:2"],
              "labels": { "zone": "z1", "rack": "r7" },
              "memory": 1048576,
            }
            """);

        var values = ConfigFile.Read(_folder["c.json"]).Values;

        Assert.Equal("http://a:1,http://b:2", values["tracker"]);
        Assert.Equal("zone=z1,rack=r7", values["labels"]);
        Assert.Equal("1048576", values["memory"]);
    }

    private void Check(long expected, string source, string flags, string? variable, string? file)
    {
        var environment = variable is null ? [] : new Dictionary<string, string> { ["P2PW_NODE_MEMORY"] = variable };
        var reader = Read(flags, environment, file is null ? null : $$"""{ "memory": "{{file}}" }""");

        Assert.Equal(expected, reader.Required(_memory));
        Assert.Equal(source, reader.Effective.Single(setting => setting.Name == "memory").Source);
    }

    private SettingsReader Read(string flags, Dictionary<string, string> environment, string? file = null)
    {
        var command = new RootCommand { _memory.Option, _insecure.Option, _advertise.Option };
        ConfigFile? config = null;
        if (file is not null)
        {
            File.WriteAllText(_folder["c.json"], file);
            config = ConfigFile.Read(_folder["c.json"]);
        }

        return new SettingsReader("NODE", [_memory, _insecure, _advertise], command.Parse(flags), environment, config);
    }
}
