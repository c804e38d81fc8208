using System.Runtime.CompilerServices;
using P2PWeights.Store;
using P2PWeights.Store.Reuse;
using P2PWeights.Transfer.Connections;

namespace P2PWeights.Transfer.Paths.Tcp;

/// <summary>The data lanes to one peer: opened when first needed, opened again when they broke. A fetch goes to the lane with the fewest bytes to come.</summary>
internal sealed class TcpChannel(PeerSession peer, int lanes, TimeSpan stallTimeout, ByteRate downloadRate) : IPathChannel
{
    private readonly Lock _gate = new();
    private readonly Slot[] _slots = [.. Enumerable.Range(0, lanes).Select(_ => new Slot())];
    private readonly CancellationTokenSource _stop = new();

    /// <summary>Begins to open all lanes, so that they are there when the first fetch comes. One that cannot be opened is tried again by the fetch that needs it.</summary>
    public void Dial()
    {
        foreach (var slot in _slots)
        {
            OpenAsync(slot);
        }
    }

    [AsyncMethodBuilder(typeof(ReusedValueTask<>))]
    public async ValueTask<FetchOutcome> FetchAsync(ShardWrite write, Action<int> received, CancellationToken cancellationToken)
    {
        var slot = Take(write.Shard.Size);
        try
        {
            var opening = OpenAsync(slot);
            var lane = opening.IsCompletedSuccessfully ? opening.Result : await opening.WaitAsync(cancellationToken).ConfigureAwait(false);
            return await lane.FetchAsync(write, received, cancellationToken).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            return new FetchOutcome(FetchStatus.Disconnected, Detail: e.Message);
        }
        catch (TransferException e) when (e.Error == TransferError.NotAllowed)
        {
            return new FetchOutcome(FetchStatus.Disconnected, Detail: e.Message);
        }
        catch (TransferException e)
        {
            return new FetchOutcome(FetchStatus.ProtocolError, Detail: e.Message);
        }
        finally
        {
            lock (_gate)
            {
                slot.PendingBytes -= write.Shard.Size;
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        foreach (var slot in _slots)
        {
            if (slot.Lane is { } opening)
            {
                await ((Task)opening).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                if (opening.IsCompletedSuccessfully)
                {
                    await (await opening.ConfigureAwait(false)).DisposeAsync().ConfigureAwait(false);
                }
            }
        }

        _stop.Dispose();
    }

    private Slot Take(int bytes)
    {
        lock (_gate)
        {
            var emptiest = _slots[0];
            foreach (var slot in _slots)
            {
                emptiest = slot.PendingBytes < emptiest.PendingBytes ? slot : emptiest;
            }

            emptiest.PendingBytes += bytes;
            return emptiest;
        }
    }

    /// <summary>
    /// The slot's lane, shared by all fetches on it; a broken one is replaced, but not one on which the peer broke the protocol: that one tells every further fetch, or rubbish sent while nothing
    /// was asked would have no consequence.
    /// </summary>
    private Task<DataLane> OpenAsync(Slot slot)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_stop.IsCancellationRequested, this);
            if (slot.Lane is null or { IsFaulted: true } or { IsCanceled: true } || (slot.Lane.IsCompletedSuccessfully && slot.Lane.Result.Closed is { Status: not FetchStatus.ProtocolError }))
            {
                slot.Lane = ReplaceAsync(slot.Lane);
            }

            return slot.Lane;
        }
    }

    private async Task<DataLane> ReplaceAsync(Task<DataLane>? broken)
    {
        if (broken is { IsCompletedSuccessfully: true })
        {
            await (await broken.ConfigureAwait(false)).DisposeAsync().ConfigureAwait(false);
        }

        return new DataLane(await peer.OpenDataLaneAsync(_stop.Token).ConfigureAwait(false), stallTimeout, downloadRate);
    }

    private sealed class Slot
    {
        public long PendingBytes { get; set; }

        public Task<DataLane>? Lane { get; set; }
    }
}
