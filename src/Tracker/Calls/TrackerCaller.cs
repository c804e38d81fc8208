using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using P2PWeights.Tracker.Http;
using Polly;
using Polly.Retry;
using Polly.Timeout;

namespace P2PWeights.Tracker.Calls;

/// <summary>
/// Gets a request answered by one of several trackers: each try has a deadline, tries are repeated with growing, jittered pauses, each goes to the next
/// tracker in the list as it is at that moment, starting from the one that answered last. Thread-safe.
/// </summary>
internal sealed class TrackerCaller : IDisposable
{
    /// <summary>Deadline of one try, and of all tries together, for messages.</summary>
    private static readonly TimeSpan SmallAttempt = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan SmallTotal = TimeSpan.FromSeconds(15);

    /// <summary>The same for manifests, of up to 256 MiB.</summary>
    private static readonly TimeSpan LargeAttempt = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan LargeTotal = TimeSpan.FromSeconds(180);

    /// <summary>Tries at each tracker after the first round.</summary>
    private const int ExtraRounds = 3;

    /// <summary>Largest answer that is read.</summary>
    private const int MaxReplyBytes = 256 << 20;

    private static readonly ResiliencePropertyKey<bool> Repeatable = new("repeatable");
    private static readonly ResiliencePropertyKey<Func<bool>> MayGoOn = new("may-go-on");

    private readonly HttpClient _http;
    private readonly Func<IReadOnlyList<Uri>> _trackers;
    private readonly TimeProvider _time;
    private readonly ResiliencePipeline<TrackerReply> _small;
    private readonly ResiliencePipeline<TrackerReply> _large;
    private volatile Uri? _lastGood;

    public TrackerCaller(Func<IReadOnlyList<Uri>> trackers, string? clusterKey, TimeProvider time)
    {
        (_trackers, _time) = (trackers, time);
        _http = new HttpClient(new SocketsHttpHandler
        {
            ConnectTimeout = SmallAttempt,
            PooledConnectionLifetime = TimeSpan.FromMinutes(10), // so that a changed DNS entry is seen
            UseProxy = false,
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
        })
        {
            Timeout = Timeout.InfiniteTimeSpan, // the pipelines have the deadlines
        };
        _http.DefaultRequestHeaders.Accept.Add(new MediaTypeWithQualityHeaderValue(Bodies.MessagePackType));
        if (clusterKey is not null)
        {
            _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue(ClusterToken.Scheme, ClusterToken.Of(clusterKey));
        }

        _small = Pipeline(SmallAttempt, SmallTotal);
        _large = Pipeline(LargeAttempt, LargeTotal);
    }

    /// <summary>The answer, a success or a refusal; refusals are the caller's to explain.</summary>
    /// <exception cref="TrackerException">
    /// <see cref="TrackerError.Unreachable"/>: nobody answered in time. <see cref="TrackerError.Unavailable"/>: the last that was asked answered with a failure of its own.
    /// </exception>
    public async Task<TrackerReply> CallAsync(TrackerCall call, CancellationToken cancellationToken)
    {
        var start = _time.GetTimestamp();
        var first = _lastGood;
        var tries = 0;
        var reason = "no answer";
        var context = ResilienceContextPool.Shared.Get(cancellationToken);
        context.Properties.Set(Repeatable, call.Repeatable);

        // So many rounds; while no tracker is known, until the deadline.
        context.Properties.Set(MayGoOn, () => _trackers().Count is var count && (count == 0 || tries < (1 + ExtraRounds) * count));
        try
        {
            return await (call.Large ? _large : _small).ExecuteAsync(
                async attempt =>
                {
                    try
                    {
                        var tracker = Next(first, tries++);
                        var reply = await AttemptAsync(call, tracker, attempt.CancellationToken).ConfigureAwait(false);
                        _lastGood = tracker;
                        return reply;
                    }
                    catch (AttemptFailedException e)
                    {
                        reason = e.Message;
                        throw;
                    }
                },
                context).ConfigureAwait(false);
        }
        catch (AttemptFailedException e) when (e.Answered)
        {
            throw new TrackerException(TrackerError.Unavailable, $"{e.Tracker!.GetLeftPart(UriPartial.Authority)} cannot do it: {e.Message}", e);
        }
        catch (Exception e) when (e is AttemptFailedException or TimeoutRejectedException)
        {
            throw Unreachable(_time.GetElapsedTime(start), reason, e);
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }
    }

    public void Dispose() => _http.Dispose();

    private ResiliencePipeline<TrackerReply> Pipeline(TimeSpan attempt, TimeSpan total) => new ResiliencePipelineBuilder<TrackerReply> { TimeProvider = _time }
        .AddTimeout(total)
        .AddRetry(new RetryStrategyOptions<TrackerReply>
        {
            MaxRetryAttempts = int.MaxValue,
            Delay = TimeSpan.FromMilliseconds(100),
            MaxDelay = TimeSpan.FromSeconds(1),
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
            ShouldHandle = static arguments => ValueTask.FromResult(arguments.Context.Properties.GetValue(MayGoOn, static () => false)() && arguments.Outcome.Exception switch
            {
                AttemptFailedException e => e.MayRetry,
                TimeoutRejectedException => arguments.Context.Properties.GetValue(Repeatable, false),
                _ => false,
            }),
        })
        .AddTimeout(attempt)
        .Build();

    /// <summary>The tracker of a try: the one that answered last, or the first of the list, then those behind it.</summary>
    private Uri Next(Uri? first, int tries)
    {
        var trackers = _trackers();
        var start = 0;
        for (var i = 0; i < trackers.Count; i++)
        {
            start = trackers[i] == first ? i : start;
        }

        return trackers.Count > 0
            ? trackers[(start + tries) % trackers.Count]
            : throw new AttemptFailedException(null, "none is known yet", mayRetry: true, answered: false);
    }

    private async Task<TrackerReply> AttemptAsync(TrackerCall call, Uri tracker, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(call.Method, new Uri(tracker, call.Path))
        {
            // HTTP/2 from the first byte on: trackers know it without TLS.
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        if (!call.Body.IsEmpty)
        {
            request.Content = new ReadOnlyMemoryContent(call.Body);
            request.Content.Headers.ContentType = new MediaTypeHeaderValue(Bodies.MessagePackType);
        }

        try
        {
            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
            var body = await ReadAsync(response.Content, cancellationToken).ConfigureAwait(false);
            var status = (int)response.StatusCode;
            return status < 500
                ? new TrackerReply(status, body, tracker)
                : throw new AttemptFailedException(tracker, Bodies.ReadError(body)?.Message ?? $"it answered with HTTP {status}", call.Repeatable, answered: true);
        }
        catch (HttpRequestException e)
        {
            var neverSent = e.HttpRequestError is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError;
            throw new AttemptFailedException(tracker, Reason(e), neverSent || call.Repeatable, answered: false, e);
        }
        catch (IOException e)
        {
            throw new AttemptFailedException(tracker, "the connection broke", call.Repeatable, answered: false, e);
        }
    }

    private static async Task<byte[]> ReadAsync(HttpContent content, CancellationToken cancellationToken)
    {
        // The announced length is only where the buffer starts; what comes is counted.
        using var body = new MemoryStream((int)Math.Clamp(content.Headers.ContentLength ?? 0, 0, 1 << 20));
        await using var stream = await content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        var buffer = new byte[64 << 10];
        while (await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false) is > 0 and var read)
        {
            if (body.Length + read > MaxReplyBytes)
            {
                throw new TrackerException(TrackerError.Protocol, $"the tracker's answer has more than {MaxReplyBytes} bytes; is another kind of server running there?");
            }

            body.Write(buffer, 0, read);
        }

        return body.ToArray();
    }

    /// <summary>The shortest true sentence about a failed connection.</summary>
    private static string Reason(HttpRequestException e) => e switch
    {
        { InnerException: SocketException { SocketErrorCode: SocketError.ConnectionRefused } } => "connection refused",
        { InnerException: SocketException socket } => socket.Message,
        { HttpRequestError: HttpRequestError.NameResolutionError } => "the host name is not known",
        { HttpRequestError: HttpRequestError.HttpProtocolError or HttpRequestError.InvalidResponse or HttpRequestError.VersionNegotiationError } =>
            "what answers there does not speak HTTP/2",
        { HttpRequestError: HttpRequestError.ResponseEnded } => "the connection broke",
        _ => e.Message,
    };

    private TrackerException Unreachable(TimeSpan waited, string reason, Exception cause)
    {
        var where = string.Join(" or ", _trackers().Select(tracker => tracker.GetLeftPart(UriPartial.Authority)));
        var seconds = string.Create(CultureInfo.InvariantCulture, $"{waited.TotalSeconds:0.0} s");
        return new TrackerException(
            TrackerError.Unreachable,
            where.Length > 0
                ? $"no tracker answered at {where} within {seconds} ({reason}); is `p2pw tracker` running there?"
                : $"no tracker was found on the network within {seconds}; is `p2pw tracker --advertise` running there, with the same --cluster and cluster key?",
            cause);
    }
}
