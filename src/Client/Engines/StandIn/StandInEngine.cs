using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using P2PWeights.Client.LocalApi;
using P2PWeights.Tracker;

namespace P2PWeights.Client.Engines.StandIn;

/// <summary>
/// An engine without a model: it takes updates as a process with our Python package does, keeps the tensors in its own memory, and answers for them. For
/// trying updates on a machine that has neither a GPU nor Python. One update at a time.
/// </summary>
public sealed class StandInEngine : IAsyncDisposable
{
    private const int MaxBodyBytes = 4 << 20;

    private static readonly TimeSpan StopDeadline = TimeSpan.FromSeconds(2);

    private readonly Dictionary<string, byte[]> _weights = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _underWay = new(1);
    private readonly CancellationTokenSource _stop = new();
    private readonly WebApplication _app;
    private readonly string _device;
    private readonly string _socket;
    private string _state = "new";
    private string? _checkpoint;

    private StandInEngine(string socket, int rank)
    {
        (_socket, _device) = (socket, $"host-{rank}");
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.ListenUnixSocket(socket);
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = MaxBodyBytes;
        });
        builder.Services.Configure<SocketTransportOptions>(transport => transport.CreateBoundListenSocket = endPoint => NodeSocket.Bind((System.Net.Sockets.UnixDomainSocketEndPoint)endPoint));
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = StopDeadline);
        builder.Services.AddSingleton<IHostLifetime, CallerLifetime>();
        builder.Services.AddRoutingCore();
        _app = builder.Build();
        _app.MapGet($"/{EngineRequests.DescribePath}", http => AnswerAsync(http, Describe));
        _app.MapPost($"/{EngineRequests.HashPath}", http => AnswerAsync(http, HashAsync));
        _app.MapPost($"/{EngineRequests.BeginPath(EngineKind.Python)}", http => AnswerAsync(http, UpdateAsync));
    }

    /// <summary>For <c>p2pw update --engine</c>.</summary>
    public string Url => $"python+unix://{_socket}";

    /// <summary>Listens for updates.</summary>
    /// <param name="socket">Absolute path of a Unix socket, made for the own user alone.</param>
    /// <param name="rank">Tells engines of one host apart.</param>
    /// <exception cref="NodeException">The path cannot be used.</exception>
    public static async Task<StandInEngine> StartAsync(string socket, int rank, CancellationToken cancellationToken)
    {
        var path = NodeSocket.EndPoint(socket).ToString()!;
        await NodeSocket.PrepareAsync(path, cancellationToken).ConfigureAwait(false);
        var engine = new StandInEngine(path, rank);
        try
        {
            await engine._app.StartAsync(cancellationToken).ConfigureAwait(false);
            return engine;
        }
        catch
        {
            await engine.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Ends an update that is under way, and stops listening.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _app.StopAsync().ConfigureAwait(false);
        await _app.DisposeAsync().ConfigureAwait(false);
        File.Delete(_socket);
        _stop.Dispose();
        _underWay.Dispose();
    }

    private static async Task AnswerAsync(HttpContext http, Func<JsonElement, Task<object>> route)
    {
        object answer;
        try
        {
            using var body = http.Request.ContentLength > 0 ? await JsonDocument.ParseAsync(http.Request.Body, default, http.RequestAborted).ConfigureAwait(false) : null;
            answer = await route(body?.RootElement ?? default).ConfigureAwait(false);
        }
        catch (Exception wrong) when (wrong is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            http.Response.StatusCode = StatusCodes.Status400BadRequest;
            answer = new { success = false, message = $"the request is not what it should be: {wrong.Message}" };
        }

        await http.Response.WriteAsJsonAsync(answer, http.RequestAborted).ConfigureAwait(false);
    }

    private Task<object> Describe(JsonElement nothing) => Task.FromResult<object>(new { protocol = 1, device = _device, state = _state, checkpoint = _checkpoint });

    private Task<object> UpdateAsync(JsonElement body)
    {
        var address = body.GetProperty("zmq_handles"u8).GetProperty(_device).GetString()!;
        var checkpoint = body.GetProperty("weight_version"u8).GetString();
        return AloneAsync(async () =>
        {
            try
            {
                await new UpdateReceiver(_weights, () => _state = "updating").RunAsync(address, _stop.Token).ConfigureAwait(false);
                (_state, _checkpoint) = ("whole", checkpoint);
                return new { success = true, message = $"holds {checkpoint}" };
            }
            catch (Exception failure)
            {
                if (_state == "updating")
                {
                    (_state, _checkpoint) = ("torn", null);
                }

                return new { success = false, message = failure.ToString() };
            }
        });
    }

    private Task<object> HashAsync(JsonElement body)
    {
        string[] names = [.. body.GetProperty("tensors"u8).EnumerateArray().Select(name => name.GetString()!)];
        return AloneAsync(() => Task.Run<object>(() => new
        {
            sha256 = names.AsParallel().AsOrdered().Select(name => _weights.TryGetValue(name, out var held) ? Convert.ToHexStringLower(SHA256.HashData(held)) : null).ToArray(),
        }));
    }

    private async Task<object> AloneAsync(Func<Task<object>> work)
    {
        if (!await _underWay.WaitAsync(TimeSpan.Zero).ConfigureAwait(false))
        {
            return new { success = false, message = "an update of this engine is under way" };
        }

        try
        {
            return await work().ConfigureAwait(false);
        }
        finally
        {
            _underWay.Release();
        }
    }
}
