using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Connections;

/// <summary>
/// The opening of every connection: Hello, HelloAck, Proof, Ready. The listener proves the cluster key first and lets nobody in who does not. A refusal is an
/// Error frame with the reason, so that both operators can read it. The deadline is the caller's token.
/// </summary>
internal static class Handshake
{
    /// <summary>Caller's side.</summary>
    /// <param name="expected">Node id that must answer; null to talk to whoever does.</param>
    /// <returns>Who answered.</returns>
    /// <exception cref="TransferException">Refused, by either side; or not this protocol.</exception>
    /// <exception cref="IOException">The connection ended.</exception>
    public static async ValueTask<HelloAckMessage> CallAsync(
        FrameConnection connection, Identity self, LaneKind lane, Guid? expected, CancellationToken cancellationToken)
    {
        var hello = new HelloMessage(self.Node, self.Name, lane, self.ClusterKey is not null, ClusterProof.NewNonce());
        await connection.SendAsync(FrameCodec.Encode(0, hello), cancellationToken).ConfigureAwait(false);
        var ack = FrameCodec.Decode<HelloAckMessage>(await ReadAsync(connection, FrameType.HelloAck, cancellationToken).ConfigureAwait(false));
        if (expected is { } id && ack.Node != id)
        {
            throw new TransferException(TransferError.NotAllowed, $"{connection.Remote} is node {ack.Node} ({ack.Name}), not {id}: the address is out of date");
        }

        if (!ClusterProof.Matches(ClusterProof.OfListener(self.ClusterKey, hello, ack.Node, ack.Nonce.Span), ack.Proof.Span))
        {
            throw new TransferException(
                TransferError.NotAllowed,
                $"{connection.Remote} ({ack.Name}) {(ack.Proof.IsEmpty ? "has no cluster key" : "has another cluster key")}: give both nodes the same one");
        }

        var proof = ClusterProof.OfCaller(self.ClusterKey, hello, ack.Node, ack.Nonce.Span);
        await connection.SendAsync(FrameCodec.Encode(0, new ProofMessage(proof)), cancellationToken).ConfigureAwait(false);
        await ReadAsync(connection, FrameType.Ready, cancellationToken).ConfigureAwait(false);
        return ack;
    }

    /// <summary>Listener's side.</summary>
    /// <param name="refuse">Says why a peer may not come in, or null.</param>
    /// <returns>Who called, proved when there is a cluster key.</returns>
    /// <exception cref="TransferException">Refused; the peer was told why.</exception>
    /// <exception cref="IOException">The connection ended.</exception>
    public static async ValueTask<HelloMessage> AnswerAsync(
        FrameConnection connection, Identity self, Func<HelloMessage, string?> refuse, CancellationToken cancellationToken)
    {
        try
        {
            var hello = FrameCodec.Decode<HelloMessage>(await ReadAsync(connection, FrameType.Hello, cancellationToken).ConfigureAwait(false));
            var problem = (hello.Keyed, self.ClusterKey) switch
            {
                (false, not null) => "this node has a cluster key and the caller has none: give both the same one",
                (true, null) => "the caller has a cluster key and this node has none: give both the same one",
                _ => refuse(hello),
            };
            if (problem is not null)
            {
                throw new TransferException(TransferError.NotAllowed, problem);
            }

            var nonce = ClusterProof.NewNonce();
            var proof = ClusterProof.OfListener(self.ClusterKey, hello, self.Node, nonce);
            await connection.SendAsync(FrameCodec.Encode(0, new HelloAckMessage(self.Node, self.Name, nonce, proof)), cancellationToken).ConfigureAwait(false);
            var answer = FrameCodec.Decode<ProofMessage>(await ReadAsync(connection, FrameType.Proof, cancellationToken).ConfigureAwait(false));
            if (!ClusterProof.Matches(ClusterProof.OfCaller(self.ClusterKey, hello, self.Node, nonce), answer.Proof.Span))
            {
                throw new TransferException(TransferError.NotAllowed, "the caller has another cluster key: give both nodes the same one");
            }

            await connection.SendAsync(FrameCodec.Encode(0, FrameType.Ready), cancellationToken).ConfigureAwait(false);
            return hello;
        }
        catch (TransferException e)
        {
            await RefuseAsync(connection, e, cancellationToken).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Tells the other side why the connection ends.</summary>
    private static async ValueTask RefuseAsync(FrameConnection connection, TransferException why, CancellationToken cancellationToken)
    {
        var code = why.Error == TransferError.NotAllowed ? ErrorCode.NotAllowed : ErrorCode.Protocol;
        await connection.SendAsync(FrameCodec.Encode(0, new ErrorMessage(code, why.Message)), cancellationToken).ConfigureAwait(false);
        connection.Socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
    }

    /// <summary>What an Error frame means to the side that gets it.</summary>
    private static TransferException Refused(FrameConnection connection, ReadOnlyMemory<byte> payload)
    {
        var error = FrameCodec.Decode<ErrorMessage>(payload);
        return error.Code == ErrorCode.NotAllowed
            ? new TransferException(TransferError.NotAllowed, $"{connection.Remote} refuses: {error.Text}")
            : new TransferException(TransferError.Protocol, $"{connection.Remote} says that the protocol was broken: {error.Text}");
    }

    private static async ValueTask<ReadOnlyMemory<byte>> ReadAsync(FrameConnection connection, FrameType wanted, CancellationToken cancellationToken)
    {
        var header = await connection.ReadHeaderAsync(cancellationToken).ConfigureAwait(false);
        if (header.Type != wanted && header.Type != FrameType.Error)
        {
            throw FrameCodec.Violation($"{connection.Remote} sends {header.Type} where {wanted} is due");
        }

        var payload = await connection.ReadControlAsync(header, cancellationToken).ConfigureAwait(false);
        return header.Type == wanted ? payload : throw Refused(connection, payload);
    }
}
