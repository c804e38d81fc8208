using System.CommandLine;
using P2PWeights.Cli.Commands;
using P2PWeights.Cli.Tests.Support;

namespace P2PWeights.Cli.Tests;

/// <summary>The commands as the help pages and the parser know them.</summary>
public sealed class CommandLineTests
{
    public static TheoryData<string> Names => [.. CommandLine.Build().Subcommands.Select(command => command.Name)];

    [Fact]
    public void Commands_that_exist_are_listed_and_no_others()
    {
        string[] expected = ["tracker", "node", "publish", "pull", "update", "ls", "show", "tag", "rm", "peers", "why", "status", "verify", "scrub", "doctor", "synth", "engine", "demo", "sim"];

        Assert.Equal(expected, CommandLine.Build().Subcommands.Select(command => command.Name));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Command_describes_itself_and_every_option(string name)
    {
        var command = CommandLine.Build().Subcommands.Single(command => command.Name == name);

        Assert.False(string.IsNullOrWhiteSpace(command.Description));
        Assert.All(command.Options, option => Assert.False(string.IsNullOrWhiteSpace(option.Description), option.Name));
        Assert.All(command.Arguments, argument => Assert.False(string.IsNullOrWhiteSpace(argument.Description), argument.Name));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Command_examples_are_lines_that_parse(string name)
    {
        var root = CommandLine.Build();
        var command = (CliCommand)root.Subcommands.Single(command => command.Name == name);

        Assert.NotEmpty(command.Examples);
        Assert.All(command.Examples, example =>
        {
            var parsed = root.Parse(example.Split(' ')[1..]);
            Assert.Empty(parsed.Errors);
            Assert.Same(command, parsed.CommandResult.Command);
        });
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Command_form_of_the_issue_takes_json(string name) => Assert.Contains(CommandLine.Build().Subcommands.Single(command => command.Name == name).Options, option => option.Name == "--json");

    [Theory]
    [InlineData("tracker --listen 127.0.0.1:7400 --data DIR")]
    [InlineData("node --name n1 --tracker http://127.0.0.1:7400 --listen 127.0.0.1:7501 --data DIR --memory 2GiB --disk 20GiB --socket DIR/node.sock")]
    [InlineData("publish DIR name@version --node SOCKET")]
    [InlineData("publish DIR name@version --tracker URL")]
    [InlineData("pull name@version --to DIR --node SOCKET")]
    [InlineData("pull name@version --node SOCKET")]
    [InlineData("ls --node SOCKET --json")]
    [InlineData("ls NAME --tracker URL")]
    [InlineData("show name@version --tensors --tracker URL")]
    [InlineData("tag name@version TAG --node SOCKET")]
    [InlineData("rm name@version --tracker URL")]
    [InlineData("peers --node SOCKET")]
    [InlineData("why name@version --node SOCKET --json")]
    [InlineData("node --paths rdma,tcp --no-local")]
    [InlineData("pull name@version --to DIR --tracker URL --paths tcp --no-rdma")]
    [InlineData("status --tracker URL")]
    [InlineData("update name@version --engine URL --slot 1MiB --slots 64 --gpu-fraction 1 --gpu-timeout 1s --node SOCKET")]
    [InlineData("verify DIR name@version --node SOCKET")]
    [InlineData("scrub --node SOCKET")]
    [InlineData("doctor --tracker URL")]
    [InlineData("synth DIR --size 512MiB --layout deepseek-v3 --seed 7")]
    [InlineData("demo --checkpoint DIR --peers 3")]
    [InlineData("demo --size 512MiB")]
    public void Documented_form_parses(string line) => Assert.Empty(CommandLine.Build().Parse(line.Split(' ')).Errors);

    [Theory]
    [InlineData("update")]
    [InlineData("why")]
    [InlineData("scrub")]
    public void Command_that_only_a_node_can_answer_offers_no_tracker(string name)
    {
        var options = CommandLine.Build().Subcommands.Single(command => command.Name == name).Options.Select(option => option.Name).ToList();

        Assert.Contains("--node", options);
        Assert.Empty(options.Intersect(["--tracker", "--discover", "--cluster", "--cluster-key-file"]));
    }

    [Fact]
    public async Task Help_of_a_command_shows_examples()
    {
        var outcome = (await P2pw.RunAsync("pull", "--help")).Expect(0);

        Assert.Contains("Usage:", outcome.Output, StringComparison.Ordinal);
        Assert.Contains("Examples:", outcome.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bare_command_shows_help_with_exit_codes()
    {
        var outcome = (await P2pw.RunAsync()).Expect(0);

        Assert.Contains("demo", outcome.Output, StringComparison.Ordinal);
        Assert.Contains("8 disk full", outcome.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("update x@1")]
    [InlineData("update x@1 --engine vllm+http://127.0.0.1:1 --node /nowhere.sock --slot 0")]
    [InlineData("update x@1 --engine vllm+http://127.0.0.1:1 --node /nowhere.sock --slot 1023KiB")]
    [InlineData("update x@1 --engine vllm+http://127.0.0.1:1 --node /nowhere.sock --slots 0")]
    [InlineData("update x@1 --engine vllm+http://127.0.0.1:1 --node /nowhere.sock --gpu-fraction 0")]
    [InlineData("update x@1 --engine vllm+http://127.0.0.1:1 --node /nowhere.sock --gpu-timeout 0s")]
    [InlineData("update x@1 --engine vllm+http://127.0.0.1:1 --node /nowhere.sock --gpu-timeout 999ms")]
    [InlineData("update x@1 --engine vllm+http://127.0.0.1:1 --node /nowhere.sock --gpu-timeout 61m")]
    [InlineData("publish")]
    [InlineData("publish DIR")]
    [InlineData("publish DIR no-version --node /nowhere.sock")]
    [InlineData("publish DIR a@1 --node /nowhere.sock --tracker http://127.0.0.1:1")]
    [InlineData("publish DIR a@1 --max-shard 17MiB --node /nowhere.sock")]
    [InlineData("publish DIR a@1 --metadata novalue --node /nowhere.sock")]
    [InlineData("publish DIR a@1 --copy --tracker http://127.0.0.1:1")]
    [InlineData("pull a@1 --tracker http://127.0.0.1:1")]
    [InlineData("pull a@1 --to x --tracker ftp://127.0.0.1:1")]
    [InlineData("pull ../../etc@1 --node /nowhere.sock")]
    [InlineData("tag a@1 bad/tag --node /nowhere.sock")]
    [InlineData("verify /no/such/folder a@1 --node /nowhere.sock")]
    [InlineData("scrub --tracker http://127.0.0.1:1")]
    [InlineData("synth x --size many")]
    [InlineData("synth x --size 1MiB --layout gpt")]
    [InlineData("demo --peers 0")]
    [InlineData("demo --peers three")]
    [InlineData("demo --checkpoint /no/such/folder")]
    [InlineData("node --memory 2XB")]
    [InlineData("node --paths tcp,carrier-pigeon")]
    [InlineData("node --paths tcp --no-tcp")]
    [InlineData("node --paths tcp,tcp")]
    [InlineData("why no-version --node /nowhere.sock")]
    [InlineData("node --config /no/such/file.json")]
    [InlineData("tracker --lease never")]
    public async Task Line_that_makes_no_sense_ends_with_usage(string line)
    {
        var outcome = (await P2pw.RunAsync(line.Split(' '))).Expect(2);

        Assert.Empty(outcome.Output);
        Assert.StartsWith("p2pw: ", outcome.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Node_that_is_not_there_ends_with_not_found()
    {
        var outcome = (await P2pw.RunAsync("status", "--node", "/nowhere/node.sock", "--json")).Expect(3);

        Assert.Contains("/nowhere/node.sock", outcome.Error, StringComparison.Ordinal);
        Assert.Equal("not_found", outcome.Json.GetProperty("error").GetString());
        Assert.Equal(3, outcome.Json.GetProperty("exit_code").GetInt32());
    }

    [Fact]
    public async Task No_node_named_and_none_running_ends_with_what_to_do()
    {
        var environment = new Dictionary<string, string?> { ["P2PW_NODE"] = "/nowhere/node.sock" };

        var outcome = (await P2pw.RunAsync(environment, "ls")).Expect(3);

        Assert.Contains("/nowhere/node.sock", outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tracker_that_does_not_answer_ends_with_deadline()
    {
        var outcome = (await P2pw.RunAsync("ls", "--tracker", "http://127.0.0.1:1")).Expect(6);

        Assert.Contains("127.0.0.1:1", outcome.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tracker")]
    [InlineData("node")]
    public async Task Listening_beyond_loopback_without_key_is_refused(string command)
    {
        var outcome = (await P2pw.RunAsync(command, "--listen", "0.0.0.0:0", "--data", "/nowhere")).Expect(7);

        Assert.Contains("--cluster-key-file", outcome.Error, StringComparison.Ordinal);
        Assert.Contains("--insecure", outcome.Error, StringComparison.Ordinal);
    }
}
