using System.Diagnostics;
using System.Globalization;
using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Paths;

/// <summary>The anchor: a web server that sends a file with sendfile, and curl, which throws it away.</summary>
internal sealed class Nginx : IAsyncDisposable
{
    public static readonly Tool Server = new("nginx", package: "nginx-light");
    public static readonly Tool Client = new("curl", package: "curl");

    private static readonly TimeSpan ListenDeadline = TimeSpan.FromSeconds(10);

    private readonly Process _server;
    private readonly int _port;
    private readonly Task<string> _log;

    private Nginx(Process server, int port)
    {
        (_server, _port) = (server, port);
        _log = server.StandardError.ReadToEndAsync();
    }

    /// <summary>Serves the files of a folder, and waits until it does.</summary>
    /// <param name="files">The folder; its own files come to lie in <c>nginx</c> of <paramref name="folder"/>.</param>
    /// <param name="connectionRate">Most bytes per second that it sends on one connection; 0 for no limit.</param>
    public static async Task<Nginx> StartAsync(SharedMemoryFolder folder, string files, long connectionRate, CancellationToken cancellationToken)
    {
        var port = LoopbackPort.Free();
        Directory.CreateDirectory(folder["nginx"]);
        var settings = Path.Combine(folder["nginx"], "nginx.conf");
        await File.WriteAllTextAsync(settings, Settings(port, files, folder["nginx"], connectionRate), cancellationToken);
        var nginx = new Nginx(Server.Start(["-p", folder["nginx"], "-e", "stderr", "-c", settings]), port);
        try
        {
            return await LoopbackPort.ListensAsync(port, ListenDeadline, () => nginx._server.HasExited, cancellationToken)
                ? nginx
                : throw new BenchException($"nginx does not listen on 127.0.0.1:{port}: {(nginx._server.HasExited ? (await nginx._log).Trim() : "no word from it")}");
        }
        catch
        {
            await nginx.DisposeAsync();
            throw;
        }
    }

    /// <summary>Has curl get a file once.</summary>
    /// <returns>The rate in GB/s, connecting left out, and what both processes used.</returns>
    public async Task<Sample> GetAsync(string name, long bytes, CancellationToken cancellationToken)
    {
        var serverCpu = CpuClock.SecondsOf(_server.Id);
        var (output, _, clientCpu) = await Client.RunAsync(
            ["--silent", "--show-error", "--fail", "--output", "/dev/null", "--write-out", "%{size_download} %{time_pretransfer} %{time_total}", $"http://127.0.0.1:{_port}/{name}"],
            cancellationToken);
        serverCpu = CpuClock.SecondsOf(_server.Id) - serverCpu;
        var words = output.Split(' ').Select(word => double.Parse(word, CultureInfo.InvariantCulture)).ToArray();
        return words[0] == bytes
            ? Sample.Of(bytes, words[2] - words[1], sending: serverCpu, receiving: clientCpu)
            : throw new BenchException($"curl got {words[0]} bytes of {bytes} from nginx");
    }

    public async ValueTask DisposeAsync()
    {
        Tool.Kill(_server);
        await _log;
        _server.Dispose();
    }

    /// <summary>One process, so that its processor time is one number; it sends as a worker does.</summary>
    private static string Settings(int port, string files, string own, long connectionRate) =>
        $$"""
        daemon off;
        master_process off;
        worker_processes 1;
        pid {{own}}/pid;
        error_log stderr;
        events { worker_connections 256; }
        http {
            access_log off;
            sendfile on;
            tcp_nopush on;
            limit_rate {{connectionRate}};
            client_body_temp_path {{own}}/body;
            proxy_temp_path {{own}}/proxy;
            fastcgi_temp_path {{own}}/fastcgi;
            uwsgi_temp_path {{own}}/uwsgi;
            scgi_temp_path {{own}}/scgi;
            server { listen 127.0.0.1:{{port}}; root {{files}}; }
        }
        """;
}
