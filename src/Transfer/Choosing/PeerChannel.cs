using System.Runtime.CompilerServices;
using P2PWeights.Store.Reuse;

namespace P2PWeights.Transfer.Choosing;

/// <summary>
/// All allowed paths to one peer, over one session with it: gives each shard the path that <see cref="PathRanking"/> chooses, opened. What became of the shard is
/// told to the <see cref="PathTurn"/>, and with that to the ranking.
/// </summary>
internal sealed class PeerChannel : IAsyncDisposable
{
    private readonly PeerPaths _state;
    private readonly IReadOnlyList<ITransferPath> _paths;
    private readonly PathSlot[] _slots;

    public PeerChannel(PeerSession session, IReadOnlyList<ITransferPath> paths, PeerPaths state, TimeSpan openDeadline)
    {
        (_paths, _state) = (paths, state);
        _slots = [.. paths.Select(path => new PathSlot(path, session, openDeadline))];
    }

    /// <summary>What is remembered of the paths to this peer.</summary>
    public PeerPaths State => _state;

    /// <summary>
    /// Begins a shard's turn on its next path. False when every allowed path has been tried for it; why each failed says <see cref="PeerPaths.Problems"/>.
    /// </summary>
    /// <param name="turn">The shard's; knows by which paths it has been tried, and is told of those that turn out not to reach the peer.</param>
    /// <param name="unreachable">Told each path that was to carry the shard and does not reach the peer.</param>
    /// <exception cref="ObjectDisposedException">The session was closed.</exception>
    [AsyncMethodBuilder(typeof(ReusedValueTask<>))]
    public async ValueTask<bool> NextAsync(PathTurn turn, Action<int> unreachable, CancellationToken cancellationToken)
    {
        while (true)
        {
            var choice = await _state.ChooseAsync(turn.Tried, cancellationToken).ConfigureAwait(false);
            if (choice.Kind == ChoiceKind.None)
            {
                return false;
            }

            turn.Try(choice);
            BorrowedChannel borrowed;
            try
            {
                borrowed = await _slots[choice.Path].BorrowAsync(cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                // Whatever it was, the proof that others wait for is not to be had from this shard.
                _state.Ended(choice);
                throw;
            }

            if (borrowed.Channel is { } channel)
            {
                if (choice.IsProof && channel.IsProved)
                {
                    // Before this shard has come: the others need not wait for it.
                    _state.Succeeded(choice);
                }

                turn.Begin(_paths[choice.Path].Name, choice, borrowed, _state);
                return true;
            }

            unreachable(choice.Path);
            _state.Failed(choice, FailureReasons.Unreachable, borrowed.Reason!);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var slot in _slots)
        {
            await slot.DisposeAsync().ConfigureAwait(false);
        }
    }
}
