using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Testing;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Sessions;
using P2PWeights.Transfer.Tests.Choosing;

namespace P2PWeights.Transfer.Tests.Sessions;

public sealed class SessionPoolTests
{
    [Fact]
    public async Task Peer_whose_session_ended_and_to_which_none_can_be_opened_is_not_connected_once_the_last_borrower_is_through()
    {
        await using var publisher = await TestNode.StartAsync("publisher");
        await using var watch = new ConnectionWatch(TimeProvider.System);
        using var metrics = new TransferMetrics();
        var book = new PeerBook(TestNode.OverTcp, metrics, TimeProvider.System, NullLogger.Instance);
        var dialler = new Dialler(new Identity(Guid.NewGuid(), "caller", null), watch, TimeProvider.System);
        var pool = new SessionPool(dialler, [new ScriptedPath(PathNames.Tcp, TestCheckpoint.Create(5000))], book, TimeProvider.System);
        var info = publisher.Info;
        using (var borrowed = await pool.BorrowAsync(info, TestNode.Deadline))
        {
            Assert.True(Assert.Single(book.Statuses).Connected);
            await publisher.StopServingAsync();
            await borrowed.Session.Closed.WaitAsync(TestNode.Deadline);
            await Assert.ThrowsAsync<IOException>(() => pool.BorrowAsync(info, TestNode.Deadline));
        }

        await pool.DisposeAsync();
        Assert.False(Assert.Single(book.Statuses).Connected);
    }
}
