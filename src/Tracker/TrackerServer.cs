using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using P2PWeights.Store.Telemetry;
using P2PWeights.Tracker.Discovery;
using P2PWeights.Tracker.Http;

namespace P2PWeights.Tracker;

/// <summary>
/// The tracker: durable catalog, soft swarm state, one HTTP API (docs/protocol.md), HTTP/1.1 and HTTP/2 on one port.
/// Requests run on the thread pool; one housekeeping loop runs beside them. What was answered is on disk, so stopping needs no care: disposing lets requests
/// in flight end for a moment and closes the catalog, and a killed tracker loses nothing but the soft state, which the peers tell the next one.
/// </summary>
public sealed class TrackerServer : IAsyncDisposable
{
    private static readonly TimeSpan HousekeepingPeriod = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan StopWithin = TimeSpan.FromSeconds(2);

    private readonly WebApplication _app;
    private readonly TrackerCore _core;
    private readonly MetricsText _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _housekeeping;
    private TrackerAdvertiser? _advertiser;
    private int _disposed;

    private TrackerServer(WebApplication app, MetricsText metrics, TrackerCore core, TimeProvider time, ILogger logger)
    {
        (_app, _metrics, _core, _time, _logger) = (app, metrics, core, time, logger);
        Address = AddressOf(app);
        _housekeeping = HousekeepAsync();
    }

    /// <summary>Opens the catalog and starts to listen.</summary>
    /// <exception cref="TrackerException">The folder is in use, the address cannot be used, or it cannot be advertised.</exception>
    public static async Task<TrackerServer> StartAsync(TrackerOptions options, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        var logger = loggers.CreateLogger<TrackerServer>();
        var endpoint = await ResolveAsync(options.Listen, cancellationToken).ConfigureAwait(false);
        var core = await TrackerCore.OpenAsync(options, time, new Random(), logger).ConfigureAwait(false);
        var metrics = new MetricsText(meter => ReferenceEquals(meter, core.Metrics.Meter));
        var api = new TrackerApi(core, metrics);
        var app = Build(options, endpoint, api, core.Metrics, time, loggers, logger);
        try
        {
            await app.StartAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            await app.DisposeAsync().ConfigureAwait(false);
            metrics.Dispose();
            await core.DisposeAsync().ConfigureAwait(false);
            if (e is IOException or SocketException)
            {
                throw new TrackerException(TrackerError.Listen, $"cannot listen at {options.Listen}: {e.Message}; is another tracker running there?", e);
            }

            throw;
        }

        var server = new TrackerServer(app, metrics, core, time, logger);
        var status = core.Status();
        TrackerLog.Started(logger, server.Address, options.DataDirectory, status.Checkpoints, status.Epoch);
        if (options.Advertise is { } advertise)
        {
            try
            {
                server._advertiser = new TrackerAdvertiser(advertise, options.ClusterKey, new IPEndPoint(endpoint.Address, server.Address.Port), time, core.Metrics.Meter, logger);
            }
            catch
            {
                await server.DisposeAsync().ConfigureAwait(false);
                throw;
            }
        }

        return server;
    }

    /// <summary>Where it listens, with the port that was chosen.</summary>
    public Uri Address { get; }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        if (_advertiser is { } advertiser)
        {
            await advertiser.DisposeAsync().ConfigureAwait(false);
        }

        await _stopping.CancelAsync().ConfigureAwait(false);
        await _housekeeping.ConfigureAwait(false);
        using (var deadline = new CancellationTokenSource(StopWithin))
        {
            await _app.StopAsync(deadline.Token).ConfigureAwait(false);
        }

        await _app.DisposeAsync().ConfigureAwait(false);
        _metrics.Dispose();
        await _core.DisposeAsync().ConfigureAwait(false);
        _stopping.Dispose();
        TrackerLog.Stopped(_logger, Address);
    }

    private static WebApplication Build(
        TrackerOptions options, IPEndPoint endpoint, TrackerApi api, TrackerMetrics metrics, TimeProvider time, ILoggerFactory loggers, ILogger logger)
    {
        // The empty builder: no settings files, no environment variables, no console logging behind the back of the program that hosts this.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRoutingCore();
        builder.Services.AddSingleton(loggers);
        builder.Services.AddSingleton<IHostLifetime, CallerLifetime>();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.AllowAlternateSchemes = true; // HTTP/2 clients say http, the marked connection looks like https: see Http2Preface
            kestrel.Limits.Http2.InitialConnectionWindowSize = 4 << 20;
            kestrel.Limits.Http2.InitialStreamWindowSize = 1 << 20;
            kestrel.Listen(endpoint, listen =>
            {
                // HTTP/1.1 and HTTP/2, as by default: where they are named, Kestrel warns that there is no HTTP/2 without TLS, which the preface makes untrue.
                listen.Use(Http2Preface.Middleware(time, logger));
            });
        });
        var app = builder.Build();
        var guard = new RequestGuard(options.ClusterKey, metrics, time, logger);
        app.Use(guard.InvokeAsync);
        app.UseRouting();
        api.Map(app);
        return app;
    }

    private static async Task<IPEndPoint> ResolveAsync(string listen, CancellationToken cancellationToken)
    {
        if (IPEndPoint.TryParse(listen, out var endpoint) && listen.Contains(':', StringComparison.Ordinal))
        {
            return endpoint;
        }

        var colon = listen.LastIndexOf(':');
        if (colon <= 0 || !ushort.TryParse(listen.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port))
        {
            throw new TrackerException(TrackerError.Listen, $"cannot listen at '{listen}': it is not host:port");
        }

        try
        {
            return new IPEndPoint((await Dns.GetHostAddressesAsync(listen[..colon], AddressFamily.InterNetwork, cancellationToken).ConfigureAwait(false))[0], port);
        }
        catch (Exception e) when (e is SocketException or IndexOutOfRangeException)
        {
            throw new TrackerException(TrackerError.Listen, $"cannot listen at '{listen}': no address found for {listen[..colon]}", e);
        }
    }

    private static Uri AddressOf(WebApplication app) =>
        new(app.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.First());

    private async Task HousekeepAsync()
    {
        using var timer = new PeriodicTimer(HousekeepingPeriod, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stopping.Token).ConfigureAwait(false))
            {
                try
                {
                    _core.CleanUp();
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException)
                {
                    TrackerLog.HousekeepingFailed(_logger, e);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Stopping.
        }
    }
}
