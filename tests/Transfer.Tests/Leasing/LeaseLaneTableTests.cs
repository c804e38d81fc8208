using P2PWeights.Transfer.Serving;

namespace P2PWeights.Transfer.Tests.Leasing;

public sealed class LeaseLaneTableTests
{
    private readonly LeaseLaneTable _table = new();

    [Fact]
    public void Lease_expires_at_its_time_and_once()
    {
        Add(expires: 10);
        Assert.Empty(_table.TakeExpired(9));
        Assert.Equal([1UL], _table.TakeExpired(10).Select(lease => lease.Id));
        Assert.Empty(_table.TakeExpired(10));
        Assert.Equal(0, _table.Count);
    }

    [Fact]
    public void Renewal_moves_what_has_not_run_out_up_to_its_limit()
    {
        Add(expires: 10);
        Add(expires: 12);
        Add(expires: 12, limit: 15);
        _table.Renew(now: 10, until: 20, recalls: false);
        Assert.Equal([1UL], _table.TakeExpired(10).Select(lease => lease.Id));
        Assert.Equal([3UL], _table.TakeExpired(15).Select(lease => lease.Id));
        Assert.Empty(_table.TakeExpired(19));
        Assert.Equal([2UL], _table.TakeExpired(20).Select(lease => lease.Id));
    }

    [Fact]
    public void Lease_is_taken_once_and_one_never_given_is_a_violation()
    {
        Add(expires: 10);
        Assert.Equal([1UL], _table.Take([1, 1]).Select(lease => lease.Id));
        Assert.Empty(_table.Take([1]));
        Assert.Equal(TransferError.Protocol, Assert.Throws<TransferException>(() => _table.Take([2])).Error);
        Assert.Throws<TransferException>(() => _table.Take([0]));
    }

    private void Add(long expires, long limit = long.MaxValue) =>
        _table.Add(new GrantedLease(_table.NextId(), default, null) { Expires = expires, Limit = limit });
}
