using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using P2PWeights.Cli.Tests.Support;

namespace P2PWeights.Cli.Tests.Updating;

/// <summary><c>p2pw update</c> from the outside: processes of tracker and nodes, and an engine in Python with the package <c>p2pweights</c>.</summary>
public sealed class UpdateTests : IAsyncLifetime
{
    /// <summary>Listens, takes updates until its input ends, and prints the SHA-256 of what it holds. Of the buckets it is told to, it raises instead.</summary>
    private const string Script = """
        import hashlib, json, sys
        from p2pweights.engine import Callback, Engine
        held, refusing = {}, [len(sys.argv) > 2]

        def load(tensors):
            if refusing.pop() if refusing else False:
                raise ValueError("no room for it here")
            for tensor in tensors:
                held[tensor.name] = hashlib.sha256(tensor.data).hexdigest()

        with Engine(Callback(load), listen=sys.argv[1]) as engine:
            engine.start()
            print(engine.url, flush=True)
            sys.stdin.read()
        print(json.dumps(held))
        """;

    private Cluster _cluster = null!;
    private ClusterNode _node = null!;
    private string _weights = null!;

    public async Task InitializeAsync()
    {
        _cluster = await Cluster.StartAsync();
        var publisher = await _cluster.StartNodeAsync("publisher");
        _node = await _cluster.StartNodeAsync("host");
        var folder = SmallCheckpoint.Write(_cluster.Folder["small"], 2 << 20);
        _weights = Path.Combine(folder, "model.safetensors");
        (await P2pw.RunAsync("publish", folder, "small@1", "--node", publisher.Socket)).Expect(0);
    }

    public Task DisposeAsync()
    {
        _cluster.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task Engine_holds_what_another_node_published_after_update()
    {
        using var engine = await StartEngineAsync();

        var report = (await P2pw.RunAsync("update", "small@1", "--engine", engine.Url, "--node", _node.Socket, "--json")).Expect(0).Json;

        Assert.Equal("updated", Assert.Single(report.GetProperty("engines").EnumerateArray()).GetProperty("state").GetString());
        using var held = JsonDocument.Parse(await engine.EndAsync());
        var data = File.ReadAllBytes(_weights)[^(1 << 20)..];
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(data)), held.RootElement.GetProperty("w").GetString());
    }

    [Fact]
    public async Task Engine_that_raises_is_named_with_its_traceback_and_the_next_update_mends_it()
    {
        using var engine = await StartEngineAsync("refuse");

        var failed = (await P2pw.RunAsync("update", "small@1", "--engine", engine.Url, "--node", _node.Socket)).Expect(1);
        Assert.Contains("updated 0 of 1 engine", failed.Output, StringComparison.Ordinal);
        Assert.Contains("no room for it here", failed.Output, StringComparison.Ordinal);

        (await P2pw.RunAsync("update", "small@1", "--engine", engine.Url, "--node", _node.Socket)).Expect(0);
    }

    [Fact]
    public async Task What_cannot_be_updated_is_refused_with_the_reason()
    {
        var nobody = $"python+unix://{_cluster.Folder["nobody.sock"]}";
        Assert.Contains("nobody.sock", (await P2pw.RunAsync("update", "small@1", "--engine", nobody, "--node", _node.Socket)).Expect(1).Error, StringComparison.Ordinal);
        Assert.Contains("ftp://", (await P2pw.RunAsync("update", "small@1", "--engine", "ftp://x", "--node", _node.Socket)).Expect(2).Error, StringComparison.Ordinal);
        (await P2pw.RunAsync("update", "small@1", "--engine", nobody, "--tracker", _cluster.Tracker)).Expect(2);

        using var engine = await StartEngineAsync();
        Assert.Contains("small@1", (await P2pw.RunAsync("update", "small@2", "--engine", engine.Url, "--node", _node.Socket)).Expect(3).Error, StringComparison.Ordinal);
    }

    private async Task<PythonEngine> StartEngineAsync(params string[] arguments)
    {
        var script = _cluster.Folder["engine.py"];
        await File.WriteAllTextAsync(script, Script);
        return await PythonEngine.StartAsync([script, $"unix://{_cluster.Folder["engine.sock"]}", .. arguments]);
    }

    private sealed class PythonEngine : IDisposable
    {
        private readonly Process _process;
        private readonly Task<string> _errors;

        private PythonEngine(Process process) => (_process, _errors) = (process, process.StandardError.ReadToEndAsync());

        public string Url { get; private set; } = "";

        public static async Task<PythonEngine> StartAsync(string[] arguments)
        {
            var start = new ProcessStartInfo("/usr/bin/python3", arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
            start.Environment["PYTHONPATH"] = Path.Combine(AppContext.BaseDirectory, "python");
            start.Environment["PYTHONDONTWRITEBYTECODE"] = "1";
            var engine = new PythonEngine(Process.Start(start)!);
            engine.Url = await engine._process.StandardOutput.ReadLineAsync().WaitAsync(P2pw.Deadline) ?? throw new InvalidOperationException($"the engine ended: {await engine._errors}");
            return engine;
        }

        /// <summary>Ends it, and gives what it prints then.</summary>
        public async Task<string> EndAsync()
        {
            _process.StandardInput.Close();
            var output = await _process.StandardOutput.ReadToEndAsync().WaitAsync(P2pw.Deadline);
            Assert.True(output.Length > 0, await _errors.WaitAsync(P2pw.Deadline));
            return output;
        }

        public void Dispose()
        {
            if (!_process.HasExited)
            {
                _process.Kill();
            }

            _process.WaitForExit();
            _process.Dispose();
        }
    }
}
