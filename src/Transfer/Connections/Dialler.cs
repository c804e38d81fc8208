using System.Net.Sockets;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Connections;

/// <summary>Opens connections to peers: tries the peer's endpoints in order, and shakes hands, within <see cref="WireLimits.HandshakeTimeout"/> each.</summary>
internal sealed class Dialler(Identity self, ConnectionWatch watch, TimeProvider time)
{
    /// <summary>Opens a lane to a peer.</summary>
    /// <exception cref="TransferException">An endpoint answered and one side refused the other, and no other endpoint did better.</exception>
    /// <exception cref="IOException">No endpoint answers; says what each did.</exception>
    public async Task<OpenLane> OpenAsync(PeerInfo peer, LaneKind lane, CancellationToken cancellationToken)
    {
        var problems = new List<string>();
        TransferException? refusal = null;
        foreach (var text in peer.Endpoints)
        {
            if (!Endpoint.TryParse(text, out var endpoint))
            {
                problems.Add($"{text}: not host:port");
                continue;
            }

            using var deadline = new CancellationTokenSource(WireLimits.HandshakeTimeout, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
            try
            {
                return await OpenAsync(endpoint, peer, lane, either.Token).ConfigureAwait(false);
            }
            catch (TransferException e)
            {
                // An address may be out of date and somebody else's by now; the next one may still be the peer's.
                refusal ??= e;
                problems.Add($"{text}: {e.Message}");
            }
            catch (Exception e) when (e is SocketException or IOException)
            {
                problems.Add($"{text}: {e.Message}");
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                problems.Add($"{text}: no handshake within {WireLimits.HandshakeTimeout.TotalSeconds} s");
            }
        }

        var all = $"{peer.Name} cannot be reached: {(problems.Count > 0 ? string.Join("; ", problems) : "it has no endpoints")}";
        throw refusal is null ? new IOException(all) : new TransferException(refusal.Error, all, refusal);
    }

    private async Task<OpenLane> OpenAsync(Endpoint endpoint, PeerInfo peer, LaneKind lane, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(endpoint.Host, endpoint.Port, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        var connection = new FrameConnection(socket, time);
        var watched = watch.Add(connection);
        try
        {
            await Handshake.CallAsync(connection, self, lane, peer.Id, cancellationToken).ConfigureAwait(false);
            return new OpenLane(connection, watched);
        }
        catch
        {
            watched.Dispose();
            throw;
        }
    }
}

/// <summary>A connection that has shaken hands; disposing closes it.</summary>
internal sealed record OpenLane(FrameConnection Connection, IDisposable Watched) : IDisposable
{
    public void Dispose() => Watched.Dispose();
}
