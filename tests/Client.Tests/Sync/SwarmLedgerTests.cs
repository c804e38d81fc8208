using System.Collections.Immutable;
using P2PWeights.Client.Sync;
using P2PWeights.Store.Content;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Tests.Sync;

public sealed class SwarmLedgerTests
{
    private static readonly Digest A = ManifestFactory.Shard(1, 1).Digest;
    private static readonly Digest B = ManifestFactory.Shard(2, 1).Digest;
    private static readonly PeerInfo Self = new(Guid.NewGuid(), "n", ["127.0.0.1:1"], "h", ImmutableSortedDictionary<string, string>.Empty);

    private readonly SwarmLedger _ledger = new();

    [Fact]
    public void Swarm_is_told_when_entered_when_changed_and_when_left_and_no_more()
    {
        Assert.Equal("enter A:0 B:3", Sync([(A, 0), (B, 3)]));
        Assert.Equal("", Sync([(A, 0), (B, 3)]));
        Assert.Equal("enter A:1", Sync([(A, 1), (B, 3)]));
        Assert.Equal("leave B", Sync([(A, 1)]));
        Assert.Equal("enter B:3", Sync([(A, 1), (B, 3)]));
    }

    [Fact]
    public void Swarm_that_the_tracker_does_not_know_is_told_again_when_it_may_know_it()
    {
        Sync([(A, 1)], unknown: A);
        Assert.Empty(_ledger.Told);
        Assert.Equal("", Sync([(A, 2)]));

        _ledger.Offer(B);
        Assert.Equal("", Sync([(A, 2)]));
        _ledger.Offer(A);
        Assert.Equal("enter A:2", Sync([(A, 2)], unknown: A));
        _ledger.OfferAll();
        Assert.Equal("enter A:2", Sync([(A, 2)]));
    }

    [Fact]
    public void Cleared_ledger_tells_everything()
    {
        Sync([(A, 1), (B, 1)], unknown: B);
        _ledger.Clear();
        Assert.Equal("enter A:1 B:1", Sync([(A, 1), (B, 1)]));
    }

    [Fact]
    public void Sync_that_was_not_answered_is_told_again()
    {
        Assert.Single(_ledger.Changes([new SwarmHoldings(A, new byte[] { 1 })]).Swarms);
        Assert.Equal("enter A:1", Sync([(A, 1)]));
    }

    /// <summary>What one answered sync says.</summary>
    private string Sync((Digest Manifest, byte Held)[] joined, params Digest[] unknown)
    {
        var (swarms, left) = _ledger.Changes([.. joined.Select(swarm => new SwarmHoldings(swarm.Manifest, new[] { swarm.Held }))]);
        _ledger.Took(new SyncRequest(Self, 1, Full: false, Leaving: false, [], [], swarms, left, [], 0, 0), [.. unknown]);
        string[] said =
        [
            swarms.IsEmpty ? "" : "enter " + string.Join(' ', swarms.Select(swarm => $"{Name(swarm.Manifest)}:{swarm.Held.Span[0]}")),
            left.IsEmpty ? "" : "leave " + string.Join(' ', left.Select(Name)),
        ];
        return string.Join(", ", said.Where(part => part.Length > 0));
    }

    private static string Name(Digest manifest) => manifest == A ? "A" : "B";
}
