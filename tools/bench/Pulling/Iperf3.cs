using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Pulling;

/// <summary>The anchor: what one TCP stream carries on loopback when nobody looks at the bytes.</summary>
internal sealed class Iperf3 : IAsyncDisposable
{
    /// <summary>A transfer that is over sooner is reported with any rate, zero included.</summary>
    private const long LeastBytes = 256L << 20;

    public static readonly Tool Command = new("iperf3", package: "iperf3");
    private static readonly TimeSpan ListenDeadline = TimeSpan.FromSeconds(10);

    private readonly Process _server;
    private readonly string _port;
    private Task _rest = Task.CompletedTask;

    private Iperf3(Process server, string port) => (_server, _port) = (server, port);

    /// <summary>Starts the server and waits until it listens.</summary>
    /// <exception cref="BenchException">It is not installed or does not listen.</exception>
    public static async Task<Iperf3> StartAsync(CancellationToken cancellationToken)
    {
        var port = LoopbackPort.Free().ToString(CultureInfo.InvariantCulture);
        var server = Command.Start(["--server", "--bind", "127.0.0.1", "--port", port, "--forceflush"]);
        var iperf3 = new Iperf3(server, port);
        try
        {
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            deadline.CancelAfter(ListenDeadline);
            while (await server.StandardOutput.ReadLineAsync(deadline.Token) is { } line)
            {
                if (line.Contains("listening", StringComparison.Ordinal))
                {
                    // What it says about each test is of no interest, but nobody reading it would stop it.
                    iperf3._rest = server.StandardOutput.ReadToEndAsync(CancellationToken.None);
                    return iperf3;
                }
            }

            throw new BenchException($"iperf3 does not listen: {(await server.StandardError.ReadToEndAsync(cancellationToken)).Trim()}");
        }
        catch
        {
            await iperf3.DisposeAsync();
            throw;
        }
    }

    /// <summary>Sends so many bytes over one stream, or <see cref="LeastBytes"/>.</summary>
    /// <returns>The rate at the receiver in GB/s, connecting left out, and what both processes used.</returns>
    public async Task<Sample> SendAsync(long bytes, CancellationToken cancellationToken)
    {
        bytes = Math.Max(bytes, LeastBytes);
        var arguments = new[] { "--client", "127.0.0.1", "--port", _port, "--bytes", bytes.ToString(CultureInfo.InvariantCulture), "--json" };
        var serverCpu = CpuClock.SecondsOf(_server.Id);
        var (output, _, clientCpu) = await Command.RunAsync(arguments, cancellationToken);
        serverCpu = CpuClock.SecondsOf(_server.Id) - serverCpu;
        using var report = JsonDocument.Parse(output);
        var received = report.RootElement.GetProperty("end").GetProperty("sum_received");
        return Sample.Of(received.GetProperty("bytes").GetInt64(), received.GetProperty("seconds").GetDouble(), sending: clientCpu, receiving: serverCpu);
    }

    public async ValueTask DisposeAsync()
    {
        Tool.Kill(_server);
        await _rest;
        _server.Dispose();
    }
}
