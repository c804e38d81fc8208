using P2PWeights.Cli.Tests.Support;

namespace P2PWeights.Cli.Tests;

/// <summary>Folders that cannot be published: refused with file and reason, the catalog unchanged.</summary>
public sealed class PublishInputTests : IAsyncLifetime
{
    private Cluster _cluster = null!;
    private ClusterNode _node = null!;

    public async Task InitializeAsync()
    {
        _cluster = await Cluster.StartAsync();
        _node = await _cluster.StartNodeAsync("publisher");
    }

    public Task DisposeAsync()
    {
        _cluster.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task Folder_that_cannot_be_a_checkpoint_is_refused_with_file_and_reason()
    {
        (string What, Action<string> Make, int ExitCode, string Named)[] cases =
        [
            ("missing folder", _ => { }, 2, "missing folder"),
            ("empty folder", folder => Directory.CreateDirectory(folder), 2, "empty folder"),
            ("a file", folder => File.WriteAllText(folder, "x"), 2, "a file"),
            ("backslash", Folder(folder => File.WriteAllText(Path.Combine(folder, "a\\b"), "x")), 2, "a\\b"),
            ("case collision", Folder(folder => { File.WriteAllText(Path.Combine(folder, "A.bin"), "x"); File.WriteAllText(Path.Combine(folder, "a.bin"), "x"); }), 2, ".bin"),
            ("symlink loop", Folder(folder => File.CreateSymbolicLink(Path.Combine(folder, "loop"), folder)), 2, "loop"),
            ("truncated header", Folder(folder => File.WriteAllBytes(Path.Combine(folder, "m.safetensors"), [200, 0, 0, 0, 0, 0, 0, 0, (byte)'{'])), 4, "m.safetensors"),
            ("huge header", Folder(folder => File.WriteAllBytes(Path.Combine(folder, "m.safetensors"), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, (byte)'{'])), 4, "m.safetensors"),
            ("gap", Safetensors("""{"w":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}""", 4), 4, "m.safetensors"),
            ("overlap", Safetensors("""{"v":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"w":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}""", 4), 4, "m.safetensors"),
            ("past the end", Safetensors("""{"w":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}""", 4), 4, "m.safetensors"),
            ("size of 2^63", Safetensors("""{"w":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,9223372036854775808]}}""", 4), 4, "m.safetensors"),
            ("duplicate tensor", Safetensors("""{"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"w":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}""", 4), 4, "m.safetensors"),
            ("dtype against bytes", Safetensors("""{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,4]}}""", 4), 4, "m.safetensors"),
            ("junk header", Safetensors(new string('j', 1 << 20), 4), 4, "m.safetensors"),
        ];
        foreach (var (what, make, exitCode, named) in cases)
        {
            var folder = _cluster.Folder[what];
            make(folder);

            var outcome = await P2pw.RunAsync("publish", folder, "bad@1", "--node", _node.Socket);

            Assert.True(outcome.ExitCode == exitCode, $"{what}: exit code {outcome.ExitCode}, expected {exitCode}\n{outcome.Error}");
            Assert.True(outcome.Error.Contains(named, StringComparison.Ordinal), $"{what}: the message does not name {named}\n{outcome.Error}");
            Assert.False(outcome.Error.Contains("unexpected", StringComparison.Ordinal), $"{what}: {outcome.Error}");
        }

        Assert.Empty((await P2pw.RunAsync("ls", "--node", _node.Socket, "--json")).Expect(0).Json.EnumerateArray());
        Assert.Equal(0, (await P2pw.RunAsync("status", "--tracker", _cluster.Tracker, "--json")).Expect(0).Json.GetProperty("checkpoints").GetInt32());
    }

    private static Action<string> Folder(Action<string> fill) => folder =>
    {
        Directory.CreateDirectory(folder);
        fill(folder);
    };

    private static Action<string> Safetensors(string header, int dataBytes) => Folder(folder => SmallCheckpoint.WriteSafetensors(Path.Combine(folder, "m.safetensors"), header, new byte[dataBytes]));
}
