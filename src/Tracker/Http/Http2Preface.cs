using System.Buffers;
using System.IO.Pipelines;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.Logging;

namespace P2PWeights.Tracker.Http;

/// <summary>
/// Lets HTTP/1.1 and HTTP/2 without TLS share a port. An HTTP/2 client that knows its server starts with the fixed preface <c>PRI * HTTP/2.0</c> (RFC 9113,
/// section 3.4), which no HTTP/1.1 request starts with. Kestrel picks HTTP/2 on a mixed endpoint only where TLS negotiated it, so a connection that starts with
/// the preface is marked the way TLS with ALPN "h2" would mark it; everything else stays HTTP/1.1.
/// </summary>
internal static class Http2Preface
{
    /// <summary>How long a new connection may stay silent.</summary>
    private static readonly TimeSpan FirstBytes = TimeSpan.FromSeconds(60);

    private static ReadOnlySpan<byte> Preface => "PRI * HTTP/2.0\r\n"u8;

    /// <summary>The connection middleware.</summary>
    public static Func<ConnectionDelegate, ConnectionDelegate> Middleware(TimeProvider time, ILogger logger) => next => async connection =>
    {
        using var deadline = new CancellationTokenSource(FirstBytes, time);
        try
        {
            if (await StartsWithPrefaceAsync(connection.Transport.Input, deadline.Token).ConfigureAwait(false))
            {
                var negotiated = new Negotiated();
                connection.Features.Set<ITlsApplicationProtocolFeature>(negotiated);
                connection.Features.Set<ITlsConnectionFeature>(negotiated);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or ConnectionAbortedException)
        {
            TrackerLog.SilentConnection(logger);
            return;
        }

        await next(connection).ConfigureAwait(false);
    };

    /// <summary>Looks at the first bytes without taking them.</summary>
    internal static async ValueTask<bool> StartsWithPrefaceAsync(PipeReader input, CancellationToken cancellationToken)
    {
        while (true)
        {
            var result = await input.ReadAsync(cancellationToken).ConfigureAwait(false);
            var verdict = Compare(result.Buffer);
            if (verdict is null && !result.IsCompleted)
            {
                // All looked at, nothing taken: the next read waits for more.
                input.AdvanceTo(result.Buffer.Start, result.Buffer.End);
                continue;
            }

            // Nothing taken, nothing looked at: the next read, Kestrel's, returns at once.
            input.AdvanceTo(result.Buffer.Start);
            return verdict ?? false;
        }
    }

    /// <summary>Whether the bytes start with the preface; null while they agree with it and are too few.</summary>
    private static bool? Compare(ReadOnlySequence<byte> bytes)
    {
        Span<byte> first = stackalloc byte[Preface.Length];
        var length = (int)Math.Min(bytes.Length, first.Length);
        bytes.Slice(0, length).CopyTo(first);
        return !first[..length].SequenceEqual(Preface[..length]) ? false : length == Preface.Length ? true : null;
    }

    private sealed class Negotiated : ITlsApplicationProtocolFeature, ITlsConnectionFeature
    {
        public ReadOnlyMemory<byte> ApplicationProtocol { get; } = "h2"u8.ToArray();

        public X509Certificate2? ClientCertificate { get; set; }

        public Task<X509Certificate2?> GetClientCertificateAsync(CancellationToken cancellationToken) => Task.FromResult(ClientCertificate);
    }
}
