using System.Collections.Immutable;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Testing;
using P2PWeights.Transfer.Sessions;

namespace P2PWeights.Transfer.Tests.Sessions;

public sealed class PeerBookTests : IDisposable
{
    private readonly VirtualTime _time = new();
    private readonly TransferMetrics _metrics = new();
    private readonly PeerBook _book;

    public PeerBookTests() => _book = new PeerBook(new TransferOptions(), _metrics, _time, NullLogger.Instance);

    public void Dispose() => _metrics.Dispose();

    [Fact]
    public void Peers_beyond_the_limit_are_forgotten_the_longest_gone_first_but_none_that_is_connected_or_banned()
    {
        var (connected, banned, gone, back) = (Peer("connected"), Peer("banned"), Peer("gone"), Peer("back"));
        _book.SessionOpened(connected);
        _book.Ban(banned, "it lied");
        Meet(gone);
        Meet(back);
        var paths = (Connected: _book.PathsOf(connected), Gone: _book.PathsOf(gone), Back: _book.PathsOf(back));

        for (var i = 0; i < 3 * PeerBook.Limit; i++)
        {
            Meet(Peer($"peer {i}"));
            Assert.Same(paths.Back, _book.PathsOf(back));
        }

        Assert.InRange(_book.Statuses.Count, PeerBook.Limit / 2, PeerBook.Limit);
        Assert.Same(paths.Connected, _book.PathsOf(connected));
        Assert.Equal("it lied", _book.BanOf(banned.Id));
        Assert.NotSame(paths.Gone, _book.PathsOf(gone));

        _time.Advance(new TransferOptions().BanTime);
        for (var i = 0; i < PeerBook.Limit; i++)
        {
            Meet(Peer($"another {i}"));
        }

        Assert.DoesNotContain(_book.Statuses, status => status.Peer.Id == banned.Id);
    }

    [Fact]
    public void Peer_whose_next_session_is_up_before_the_last_one_is_down_stays_connected()
    {
        var peer = Peer("peer");
        _book.SessionOpened(peer);
        _book.SessionOpened(peer);
        _book.SessionClosed(peer);
        Assert.True(Assert.Single(_book.Statuses).Connected);

        _book.SessionClosed(peer);
        Assert.False(Assert.Single(_book.Statuses).Connected);
    }

    private void Meet(PeerInfo peer)
    {
        _book.SessionOpened(peer);
        _book.SessionClosed(peer);
    }

    private static PeerInfo Peer(string name) => new(Guid.NewGuid(), name, [], "host", ImmutableSortedDictionary<string, string>.Empty);
}
