using System.Runtime.CompilerServices;
using P2PWeights.Store.Reuse;

namespace P2PWeights.Transfer.Choosing;

/// <summary>
/// The channel of one path to one peer: opened when first needed, shared by all who use it, and left when the path failed, so that the next attempt opens a
/// new one. A channel is disposed when the last user of it has ended. Thread-safe.
/// </summary>
internal sealed class PathSlot(ITransferPath path, PeerSession session, TimeSpan openDeadline) : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly OwnedTasks _closing = new();
    private readonly HashSet<Shared> _open = [];
    private Shared? _current;
    private bool _disposed;

    /// <summary>The channel, which stays open until the result is returned; or the reason why there is none.</summary>
    /// <exception cref="ObjectDisposedException">The session is being closed.</exception>
    [AsyncMethodBuilder(typeof(ReusedValueTask<>))]
    public async ValueTask<BorrowedChannel> BorrowAsync(CancellationToken cancellationToken)
    {
        Shared shared;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            shared = _current ??= new Shared(Task.Run(OpenAsync));
            _open.Add(shared);
            shared.Users++;
        }

        try
        {
            var opening = await shared.Opening.WaitAsync(cancellationToken).ConfigureAwait(false);
            if (opening.Channel is { } channel)
            {
                return new BorrowedChannel(channel, null, this, shared);
            }

            Leave(shared);
            Return(shared);
            return new BorrowedChannel(null, opening.Reason, this, shared);
        }
        catch
        {
            Return(shared);
            throw;
        }
    }

    /// <summary>The path failed: whoever comes next opens it anew.</summary>
    public void Leave(BorrowedChannel borrowed) => Leave(borrowed.Shared);

    /// <summary>Gives a channel back.</summary>
    public void Return(BorrowedChannel borrowed) => Return(borrowed.Shared);

    /// <summary>Closes the channel under whoever still uses it: their fetches end.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            (_disposed, _current) = (true, null);
            foreach (var shared in _open.ToArray())
            {
                Close(shared);
            }
        }

        await _stop.CancelAsync().ConfigureAwait(false);
        await _closing.WaitAsync().ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task<PathOpening> OpenAsync()
    {
        // Not cancelled with any one user: others may wait for the same channel.
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        deadline.CancelAfter(openDeadline);
        try
        {
            return await path.OpenAsync(session, deadline.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!_stop.IsCancellationRequested)
        {
            return PathOpening.Unreachable($"it did not open within {openDeadline.TotalSeconds:0.#} s");
        }
        catch (OperationCanceledException)
        {
            return PathOpening.Unreachable("the session was closed");
        }
        catch (Exception e) when (e is IOException or TransferException)
        {
            return PathOpening.Unreachable(e.Message);
        }
    }

    private void Leave(Shared shared)
    {
        lock (_gate)
        {
            if (_current == shared)
            {
                _current = null;
            }
        }
    }

    private void Return(Shared shared)
    {
        lock (_gate)
        {
            if (--shared.Users == 0 && _current != shared)
            {
                Close(shared);
            }
        }
    }

    /// <summary>Closes a channel once. Under the lock.</summary>
    private void Close(Shared shared)
    {
        if (_open.Remove(shared))
        {
            _closing.Start(() => CloseAsync(shared.Opening));
        }
    }

    private static async Task CloseAsync(Task<PathOpening> opening)
    {
        await ((Task)opening).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (opening.IsCompletedSuccessfully && opening.Result.Channel is { } channel)
        {
            await channel.DisposeAsync().ConfigureAwait(false);
        }
    }

    internal sealed class Shared(Task<PathOpening> opening)
    {
        public Task<PathOpening> Opening => opening;

        public int Users { get; set; }
    }
}

/// <summary>A channel borrowed from a <see cref="PathSlot"/>, or the reason why there is none.</summary>
internal readonly record struct BorrowedChannel(IPathChannel? Channel, string? Reason, PathSlot Slot, PathSlot.Shared Shared);
