using System.Buffers.Binary;
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

    /// <summary>The manifest's shards as global ordinals. Never changes, so that it may be read outside of the lock.</summary>
    public Bitmap Mask { get; } = new();

    /// <summary>Members in no particular order.</summary>
    public ReadOnlySpan<Member> Members => CollectionsMarshal.AsSpan(_members);

    /// <summary>How many ever entered.</summary>
    public long Entered { get; private set; }

    /// <summary>Members that hold every shard.</summary>
    public int Complete { get; private set; }

    /// <summary>Those of them that are not passing.</summary>
    public int LastingCopies { get; private set; }

    /// <summary>Swarms whose manifests share shards with this one, and how many; those that share most first: their members can serve newcomers here.</summary>
    public List<(Swarm Swarm, int Shared)> Related { get; } = [];

    /// <summary>Takes a swarm up among <see cref="Related"/>.</summary>
    /// <param name="shared">How many of the shards are in both manifests.</param>
    public void Relate(Swarm other, int shared)
    {
        var place = Related.FindIndex(known => known.Shared < shared);
        Related.Insert(place < 0 ? Related.Count : place, (other, shared));
    }

    /// <summary>Takes a swarm out of <see cref="Related"/>.</summary>
    public void Unrelate(Swarm other) => Related.RemoveAll(known => known.Swarm == other);

    /// <summary>When anybody last asked about the swarm, as a timestamp of the time provider; a swarm without members is kept for a while after that.</summary>
    public long LastUsed { get; set; }

    public Member Add(TrackedState peer)
    {
        var member = new Member(peer, this, _members.Count);
        _members.Add(member);
        Entered++;
        Recount(member);
        return member;
    }

    /// <summary>Takes a member out; the last one moves into its place.</summary>
    public void Remove(Member member)
    {
        var last = _members[^1];
        _members[member.Index] = last;
        last.Index = member.Index;
        _members.RemoveAt(_members.Count - 1);
        CountComplete(member, -1);
    }

    /// <summary>The member's peer gained or lost shards.</summary>
    public void Recount(Member member)
    {
        CountComplete(member, -1);
        member.Held = member.Peer.Held.CountCommon(Mask);
        CountComplete(member, 1);
    }

    /// <summary>Whether a bitmap from outside is one of this manifest: as long as it takes, unused bits zero.</summary>
    public bool Fits(ReadOnlySpan<byte> held) => held.Length == (Shards + 7) / 8 && (Shards % 8 == 0 || held[^1] >> (Shards % 8) == 0);

    /// <summary>Makes what a peer holds of the manifest what a fitting bitmap says.</summary>
    public void SetHeld(TrackedState peer, ReadOnlySpan<byte> held, OrdinalTable ordinals)
    {
        var at = 0;
        foreach (var run in _runs)
        {
            for (var done = 0; done < run.Count; done += 64)
            {
                var count = Math.Min(64, run.Count - done);
                ordinals.ReplaceReplicas(peer.Held, run.First + done, count, BitsAt(held, at + done, count));
            }

            at += run.Count;
        }
    }

    /// <summary>Bit i of byte i/8, least significant first, says that shard i has at most one live replica.</summary>
    public ReadOnlyMemory<byte> Scarce(OrdinalTable ordinals)
    {
        var words = new ulong[(Shards + 63) / 64];
        var at = 0;
        foreach (var run in _runs)
        {
            ordinals.Safe.CopyBits(run.First, run.Count, words, at);
            at += run.Count;
        }

        for (var i = 0; i < words.Length; i++)
        {
            words[i] = ~words[i];
        }

        if (Shards % 64 != 0)
        {
            words[^1] &= (1UL << (Shards % 64)) - 1;
        }

        var bytes = new byte[words.Length * sizeof(ulong)];
        for (var i = 0; i < words.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * sizeof(ulong)), words[i]);
        }

        return bytes.AsMemory(0, (Shards + 7) / 8);
    }

    private void CountComplete(Member member, int change)
    {
        if (member.Held == Shards)
        {
            Complete += change;
            LastingCopies += member.Peer.Info.Passing ? 0 : change;
        }
    }

    /// <summary>At most 64 bits of a bitmap in bytes, from any bit on.</summary>
    private static ulong BitsAt(ReadOnlySpan<byte> bytes, int first, int count)
    {
        var (at, shift) = (first >> 3, first & 7);
        Span<byte> nine = stackalloc byte[9];
        nine.Clear();
        bytes[at..Math.Min(bytes.Length, at + 9)].CopyTo(nine);
        var bits = BinaryPrimitives.ReadUInt64LittleEndian(nine) >> shift;
        if (shift > 0)
        {
            bits |= (ulong)nine[8] << (64 - shift);
        }

        return count < 64 ? bits & ((1UL << count) - 1) : bits;
    }

    /// <summary>Shards of the manifest, next to each other in the manifest's order and in the global ordinals alike.</summary>
    private readonly record struct Run(int First, int Count);
}
