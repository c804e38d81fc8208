using System.Runtime.CompilerServices;
using System.Threading.Channels;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Serving;

/// <summary>
/// Listener's side of one data lane: reads fetches ahead while it answers them in order, so the lane never idles between two shards. Every fetch gets exactly
/// one answer. Serving a shard allocates nothing.
/// </summary>
internal sealed class UploadLane(FrameConnection connection, Guid peer, ServingContext context) : IDisposable
{
    private readonly Channel<Request> _requests = Channel.CreateBounded<Request>(
        new BoundedChannelOptions(WireLimits.MaxOutstandingFetches) { SingleReader = true, SingleWriter = true });

    private readonly SlotTurn _turn = new(context.Slots, peer, context.Time);
    private readonly HashSet<uint> _cancelled = [];
    private readonly FrameBuffer _control = new();
    private readonly byte[] _header = GC.AllocateArray<byte>(FrameHeader.Size, pinned: true);

    /// <summary>Serves until the connection ends.</summary>
    /// <exception cref="IOException">The connection ended.</exception>
    /// <exception cref="TransferException">The peer broke the protocol.</exception>
    public Task RunAsync(CancellationToken cancellationToken) => connection.RunAsync(ReadAsync, SendAsync, cancellationToken);

    public void Dispose() => _turn.Dispose();

    private async Task ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var header = await connection.ReadHeaderAsync(cancellationToken).ConfigureAwait(false);
            switch (header.Type)
            {
                case FrameType.Fetch:
                    var payload = await connection.ReadControlAsync(header, cancellationToken).ConfigureAwait(false);
                    Enqueue(new Request(FrameType.Fetch, header.RequestId, FrameCodec.Decode<FetchMessage>(payload).Shard));
                    break;
                case FrameType.Cancel:
                    Cancel(header.RequestId);
                    break;
                case FrameType.Ping:
                    Enqueue(new Request(FrameType.Ping, header.RequestId, default));
                    break;
                default:
                    throw FrameCodec.Violation($"{header.Type} has no place on a data lane");
            }
        }
    }

    /// <summary>Cancels of answered fetches stay in the set; it is emptied whenever the queue is, and a peer that only cancels is thrown out.</summary>
    private void Cancel(uint id)
    {
        lock (_cancelled)
        {
            if (_cancelled.Count >= 2 * WireLimits.MaxOutstandingFetches)
            {
                throw FrameCodec.Violation("more fetches are cancelled than were asked for");
            }

            _cancelled.Add(id);
        }
    }

    private bool IsCancelled(uint id)
    {
        lock (_cancelled)
        {
            return _cancelled.Remove(id);
        }
    }

    private void Enqueue(Request request)
    {
        if (!_requests.Writer.TryWrite(request))
        {
            throw FrameCodec.Violation($"more than {WireLimits.MaxOutstandingFetches} requests wait on one lane");
        }
    }

    private async Task SendAsync(CancellationToken cancellationToken)
    {
        // The channel is ended rather than its wait cancelled: a wait that can be cancelled allocates each time.
        using var ending = cancellationToken.UnsafeRegister(static lane => ((UploadLane)lane!).End(), this);
        var sender = new ShardSender(connection, context.UploadRate);
        while (await _requests.Reader.WaitToReadAsync(CancellationToken.None).ConfigureAwait(false))
        {
            while (_requests.Reader.TryRead(out var request))
            {
                if (request.Type == FrameType.Ping)
                {
                    await AnswerAsync(request.Id, FrameType.Pong, cancellationToken).ConfigureAwait(false);
                }
                else
                {
                    await AnswerAsync(sender, request.Id, request.Shard, cancellationToken).ConfigureAwait(false);
                }
            }

            lock (_cancelled)
            {
                _cancelled.Clear();
            }
        }
    }

    private void End()
    {
        _requests.Writer.TryComplete();
        _turn.GiveUp();
    }

    /// <summary>An answer without payload.</summary>
    private ValueTask AnswerAsync(uint id, FrameType type, CancellationToken cancellationToken)
    {
        _control.Clear();
        _control.Append(id, type);
        return connection.SendAsync(_control.Frames, cancellationToken);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask AnswerAsync(ShardSender sender, uint id, ShardInfo shard, CancellationToken cancellationToken)
    {
        if (IsCancelled(id))
        {
            await AnswerAsync(id, FrameType.Cancelled, cancellationToken).ConfigureAwait(false);
            return;
        }

        if (!await _turn.TakeAsync().ConfigureAwait(false))
        {
            context.Metrics.ServedBusy(PathNames.Tcp);
            _control.Clear();
            _control.Append(id, new BusyMessage((int)context.Slots.Patience.TotalMilliseconds));
            await connection.SendAsync(_control.Frames, cancellationToken).ConfigureAwait(false);
            return;
        }

        var began = context.Time.GetTimestamp();
        context.Swarms.SendBegins(shard.Digest);
        try
        {
            if (IsCancelled(id))
            {
                await AnswerAsync(id, FrameType.Cancelled, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                await ServeAsync(sender, id, shard, cancellationToken).ConfigureAwait(false);
                context.Slots.Held(context.Time.GetElapsedTime(began));
            }
        }
        finally
        {
            context.Swarms.SendEnded(shard.Digest);
            context.Slots.Release(peer);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ServeAsync(ShardSender sender, uint id, ShardInfo shard, CancellationToken cancellationToken)
    {
        if (await LeaseAsync(shard, cancellationToken).ConfigureAwait(false) is not { } lease)
        {
            await AnswerAsync(id, FrameType.NotFound, cancellationToken).ConfigureAwait(false);
            return;
        }

        using (lease)
        {
            new FrameHeader(FrameType.Data, id, shard.Size).Write(_header);
            await connection.SendAsync(_header, cancellationToken).ConfigureAwait(false);
            await sender.SendAsync(lease, cancellationToken).ConfigureAwait(false);
        }

        context.CountServed(PathNames.Tcp, shard.Size);
    }

    /// <summary>A lease on exactly this shard, or null when it is not held, cannot be read, or has another size than the peer believes.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<ShardLease?> LeaseAsync(ShardInfo shard, CancellationToken cancellationToken)
    {
        try
        {
            var leased = await context.Store.LeaseAsync(shard.Digest, cancellationToken).ConfigureAwait(false);
            if (leased is { } lease && lease.Shard.Size != shard.Size)
            {
                lease.Dispose();
                return null;
            }

            return leased;
        }
        catch (StoreException e)
        {
            context.Log.CannotServe(shard.Digest.ToShortString(), e);
            return null;
        }
    }

    /// <summary>A fetch or a ping that waits for its answer.</summary>
    private readonly record struct Request(FrameType Type, uint Id, ShardInfo Shard);
}
