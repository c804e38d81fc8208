using System.Collections.Immutable;
using System.Runtime.InteropServices;
using P2PWeights.Store.Content;

namespace P2PWeights.Tracker.Swarms;

/// <summary>The peers around one manifest, and where its shards lie in the global ordinals. Part of <see cref="SwarmState"/> and under its lock.</summary>
internal sealed class Swarm
{
    private readonly ImmutableArray<Run> _runs;
    private readonly List<Member> _members = [];

    /// <param name="ordinals">Global ordinal of each shard of the manifest.</param>
    public Swarm(Digest manifest, ReadOnlySpan<int> ordinals)
    {
        Manifest = manifest;
        Shards = ordinals.Length;
        var runs = ImmutableArray.CreateBuilder<Run>();
        foreach (var ordinal in ordinals)
        {
            Mask.Add(ordinal);
            if (runs.Count > 0 && runs[^1].First + runs[^1].Count == ordinal)
            {
                runs[^1] = runs[^1] with { Count = runs[^1].Count + 1 };
            }
            else
            {
                runs.Add(new Run(ordinal, 1));
            }
        }

        _runs = runs.DrainToImmutable();
    }

    public Digest Manifest { get; }

    /// <summary>Shards of the manifest.</summary>
    public int Shards { get; }

    /// <summary>The manifest's shards as global ordinals.</summary>
    public Bitmap Mask { get; } = new();

    /// <summary>Members in no particular order.</summary>
    public ReadOnlySpan<Member> Members => CollectionsMarshal.AsSpan(_members);

    /// <summary>When anybody last asked about the swarm, as a timestamp of the time provider; a swarm without members is kept for a while after that.</summary>
    public long LastUsed { get; set; }

    public Member Add(TrackedState peer)
    {
        var member = new Member(peer, this, _members.Count) { Held = peer.Held.CountCommon(Mask) };
        _members.Add(member);
        return member;
    }

    /// <summary>Takes a member out; the last one moves into its place.</summary>
    public void Remove(Member member)
    {
        var last = _members[^1];
        _members[member.Index] = last;
        last.Index = member.Index;
        _members.RemoveAt(_members.Count - 1);
    }

    /// <summary>What a peer holds of the manifest: bit i of byte i/8, least significant first, says whether it holds shard i.</summary>
    public ReadOnlyMemory<byte> HeldBy(TrackedState peer)
    {
        var words = new ulong[(Shards + 63) / 64];
        var at = 0;
        foreach (var run in _runs)
        {
            peer.Held.CopyBits(run.First, run.Count, words, at);
            at += run.Count;
        }

        var bytes = new byte[(Shards + 7) / 8];
        if (!BitConverter.IsLittleEndian)
        {
            throw new PlatformNotSupportedException("bitmaps are words read as bytes: the processor has to be little-endian");
        }

        MemoryMarshal.AsBytes(words.AsSpan())[..bytes.Length].CopyTo(bytes);
        return bytes;
    }

    /// <summary>Per shard of the manifest, live replicas, 255 for that many or more.</summary>
    public ReadOnlyMemory<byte> Rarity(OrdinalTable ordinals)
    {
        var rarity = new byte[Shards];
        var at = 0;
        foreach (var run in _runs)
        {
            ordinals.Rarity.Slice(run.First, run.Count).CopyTo(rarity.AsSpan(at));
            at += run.Count;
        }

        return rarity;
    }

    /// <summary>Shards of the manifest, next to each other in the manifest's order and in the global ordinals alike.</summary>
    private readonly record struct Run(int First, int Count);
}

/// <summary>A peer in a swarm.</summary>
internal sealed class Member(TrackedState peer, Swarm swarm, int index)
{
    public TrackedState Peer { get; } = peer;

    public Swarm Swarm { get; } = swarm;

    /// <summary>Place in the swarm's list.</summary>
    public int Index { get; set; } = index;

    /// <summary>Shards of the manifest that the peer holds.</summary>
    public int Held { get; set; }
}
