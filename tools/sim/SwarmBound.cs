namespace P2PWeights.Sim;

/// <summary>
/// The time below which no plan can bring all pullers what they lack. Between equal cards: a round per shard that is missing and log2 N more, rounded down, a round being what one card
/// needs for one shard (Mundinger, Weber and Weiss, "Optimal scheduling of peer-to-peer file dissemination", 2006). Between unequal ones, or through the uplinks of racks, the fluid bound,
/// the longest of: the publishers send everything once, the puller receives what it lacks, all cards together send what all lack (Kumar and Ross, "Peer-assisted file distribution: the
/// minimum distribution time", 2006), each rack's uplink carries it once.
/// </summary>
internal sealed class SwarmBound
{
    /// <summary>How many times slower slow peers are.</summary>
    public const int SlowTimes = 4;

    private readonly SimOptions _options;
    private readonly double _uplink;
    private readonly double _missing;
    private readonly double _swarm;
    private readonly TimeSpan _depth;

    /// <param name="uplink">Bytes per second of a rack's uplink; 0 in a flat network.</param>
    public SwarmBound(SimOptions options, double uplink)
    {
        (_options, _uplink) = (options, uplink);
        _missing = (double)(options.Shards - (int)(options.HeldPart * options.Shards)) * options.ShardBytes;
        var slow = (int)(options.SlowPart * options.Peers);
        var rate = options.BytesPerSecond * (options.Publishers + options.Peers - slow + ((double)slow / SlowTimes));
        _swarm = Math.Max(_missing / (options.Publishers * options.BytesPerSecond), options.Peers * _missing / rate);
        _depth = slow == 0 && uplink == 0 ? TimeSpan.FromSeconds(Math.Floor(Math.Log2(options.Peers)) * options.ShardBytes / options.BytesPerSecond) : TimeSpan.Zero;
    }

    /// <summary>The bound of a whole swarm of peers that are not late, as far as its fast ones go.</summary>
    public TimeSpan Whole => Of(_options.BytesPerSecond, isLate: false);

    /// <summary>
    /// The bound of one peer, from its own start. What one that is late lacks is in the swarm already, if not all: only its card counts.
    /// </summary>
    public TimeSpan Of(double bytesPerSecond, bool isLate)
    {
        if (isLate)
        {
            return TimeSpan.FromSeconds((double)_options.Shards * _options.ShardBytes / bytesPerSecond);
        }

        return TimeSpan.FromSeconds(Math.Max(Math.Max(_missing / bytesPerSecond, _swarm), _uplink > 0 ? _missing / _uplink : 0)) + _depth;
    }
}
