using P2PWeights.Client.Sync;
using P2PWeights.Store.Content;

namespace P2PWeights.Client.Tests.Sync;

public sealed class PendingChangesTests
{
    [Fact]
    public void Digest_touched_twice_is_taken_once()
    {
        var changes = new PendingChanges();
        changes.Add(Numbered(1));
        changes.Add(Numbered(1));

        Assert.Equal([Numbered(1)], changes.Take(10));
        Assert.True(changes.IsEmpty);
    }

    [Fact]
    public void Take_leaves_what_is_over_the_limit()
    {
        var changes = new PendingChanges();
        foreach (var number in Enumerable.Range(0, 5))
        {
            changes.Add(Numbered(number));
        }

        var first = changes.Take(3);
        var second = changes.Take(3);

        Assert.Equal((3, 2), (first.Count, second.Count));
        Assert.Equal(5, first.Concat(second).Distinct().Count());
    }

    private static Digest Numbered(int number)
    {
        var bytes = new byte[Digest.Size];
        bytes[0] = (byte)number;
        return new Digest(bytes);
    }
}
