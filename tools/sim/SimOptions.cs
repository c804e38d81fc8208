using System.Globalization;

namespace P2PWeights.Sim;

/// <summary>What is simulated. Everything follows from these and the seed.</summary>
public sealed record SimOptions
{
    /// <summary>Nodes times shards: at this size a run takes about an hour or two and some gigabytes.</summary>
    private const long MostWork = 100_000_000;

    /// <summary>Nodes that start to pull together.</summary>
    public int Peers { get; init; } = 1024;

    /// <summary>Shards of the checkpoint, all of one size.</summary>
    public int Shards { get; init; } = 1024;

    public int Seed { get; init; } = 1;

    public int ShardBytes { get; init; } = 16 << 20;

    /// <summary>Rate of each node's card, in each direction.</summary>
    public double BytesPerSecond { get; init; } = 1.25e9;

    /// <summary>Time from any node to any other.</summary>
    public TimeSpan Latency { get; init; } = TimeSpan.FromMicroseconds(100);

    /// <summary>Nodes that published the checkpoint; with several, each holds an equal part of the shards.</summary>
    public int Publishers { get; init; } = 1;

    /// <summary>Part of the peers whose cards have a quarter of the rate.</summary>
    public double SlowPart { get; init; }

    /// <summary>Peers that are killed when the swarm is half-way.</summary>
    public int Killed { get; init; }

    /// <summary>The publishers are killed when they have brought every shard once.</summary>
    public bool KillPublishers { get; init; }

    /// <summary>Further peers that begin half-way through the bound, and hold nothing.</summary>
    public int Late { get; init; }

    /// <summary>Part of the shards that all peers but the late ones hold already, from another version.</summary>
    public double HeldPart { get; init; }

    /// <summary>Racks that the nodes are spread over; 1 for a flat network.</summary>
    public int Racks { get; init; } = 1;

    /// <summary>Rate of a rack's nodes together, as a multiple of its uplink's.</summary>
    public double Oversubscription { get; init; } = 1;

    /// <summary>Neighbours that the tracker names at once.</summary>
    public int Neighbours { get; init; } = 16;

    /// <summary>Shards that a node sends at the same time.</summary>
    public int UploadSlots { get; init; } = 8;

    /// <summary>Shards on their way to one node.</summary>
    public long WindowBytes { get; init; } = 256L << 20;

    /// <summary>Pieces that a shard travels in: transfers share a line by turns of one.</summary>
    public int SlicesPerShard { get; init; } = 4;

    /// <summary>Checks the numbers against each other and against what can be simulated.</summary>
    /// <exception cref="ArgumentException">Says which is wrong and what it may be.</exception>
    public void Check()
    {
        Require(Peers is >= 1 and <= 100_000, "peers", "between 1 and 100,000");
        Require(Shards is >= 1 and <= 65_536, "shards", "between 1 and 65,536");
        Require(ShardBytes is >= 1024 and <= 1 << 30, "shard size", "between 1 KiB and 1 GiB");
        Require(BytesPerSecond is >= 1e3 and <= 1e13, "rate", "between 1 kB/s and 10 TB/s");
        Require(Latency >= TimeSpan.Zero && Latency <= TimeSpan.FromSeconds(10), "latency", "between 0 and 10 s");
        Require(Publishers >= 1 && Publishers <= Shards, "publishers", "between 1 and the number of shards");
        Require(SlowPart is >= 0 and <= 1, "slow part", "between 0 and 1");
        Require(Killed >= 0 && Killed < Peers, "killed peers", "fewer than the peers");
        Require(Late is >= 0 and <= 100_000, "late peers", "between 0 and 100,000");
        var work = ((long)Publishers + Peers + Late) * Shards;
        Require(work <= MostWork, "nodes times shards", string.Create(CultureInfo.InvariantCulture, $"at most {MostWork:N0}, and these are {work:N0}"));
        Require(HeldPart is >= 0 and < 1, "held part", "at least 0 and below 1");
        Require(Racks >= 1 && Racks <= Peers, "racks", "between 1 and the number of peers");
        Require(Oversubscription is >= 1 and <= 1000, "oversubscription", "between 1 and 1000");
        Require(Neighbours is >= 1 and <= 1024, "neighbours", "between 1 and 1024");
        Require(UploadSlots is >= 1 and <= 1024, "upload slots", "between 1 and 1024");
        Require(SlicesPerShard is >= 1 and <= 1024, "slices per shard", "between 1 and 1024");
    }

    private static void Require(bool isRight, string what, string range)
    {
        if (!isRight)
        {
            throw new ArgumentException($"{what}: must be {range}");
        }
    }
}
