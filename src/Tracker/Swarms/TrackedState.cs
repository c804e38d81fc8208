using P2PWeights.Transfer;

namespace P2PWeights.Tracker.Swarms;

/// <summary>All that the tracker knows of one live peer. Part of <see cref="SwarmState"/> and under its lock.</summary>
internal sealed class TrackedState
{
    public TrackedState(PeerInfo info)
    {
        Info = info;
        Place = PeerPlace.Of(info);
        Turn = new LinkedListNode<TrackedState>(this);
    }

    /// <summary>The peer as it described itself last. <see cref="PeerInfo.Passing"/> never changes: swarms have counted by it.</summary>
    public PeerInfo Info { get; private set; }

    public PeerPlace Place { get; private set; }

    /// <summary>Number of the last sync that was taken.</summary>
    public long Sequence { get; set; }

    /// <summary>When that was, as a timestamp of the time provider.</summary>
    public long LastSync { get; set; }

    /// <summary>When it counts as gone without another sync, as a timestamp.</summary>
    public long LeaseEnds { get; set; }

    public long LoadBytesPerSecond { get; set; }

    /// <summary>What it holds, by global ordinal.</summary>
    public Bitmap Held { get; set; } = new();

    /// <summary>Its swarms, as far as the tracker has their manifests.</summary>
    public List<Member> Memberships { get; } = [];

    /// <summary>Which of <see cref="Memberships"/> is next to be told of scarce shards.</summary>
    public int NextScarce { get; set; }

    /// <summary>Its place among all peers in the order of their last syncs.</summary>
    public LinkedListNode<TrackedState> Turn { get; }

    /// <summary>Whether it left, or its lease ran out.</summary>
    public bool IsGone { get; set; }

    /// <summary>Which drawing of candidates it was last looked at in, so that none has it twice.</summary>
    public long Drawn { get; set; }

    public Member? In(Swarm swarm)
    {
        foreach (var member in Memberships)
        {
            if (member.Swarm == swarm)
            {
                return member;
            }
        }

        return null;
    }

    /// <summary>Takes how the peer describes itself; true when it moved to another place. The same again is not kept a second time: most syncs say nothing new.</summary>
    public bool Describe(PeerInfo info)
    {
        if (info.Name == Info.Name && info.HostId == Info.HostId && info.Endpoints.SequenceEqual(Info.Endpoints) && info.Labels.SequenceEqual(Info.Labels))
        {
            return false;
        }

        var before = Place;
        (Info, Place) = (info, PeerPlace.Of(info));
        return Place != before;
    }
}
