using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net.Sockets;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Testing;
using P2PWeights.Transfer.Leasing;
using P2PWeights.Transfer.Swarms;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests;

/// <summary>A peer that shakes hands properly, announces its shards, and then answers fetches as it was told to.</summary>
internal sealed class LyingPeer : IAsyncDisposable
{
    private readonly Guid _id = Guid.NewGuid();
    private readonly TestCheckpoint _checkpoint;
    private readonly Answer _answer;
    private readonly ScriptedListener _listener;
    private readonly ConcurrentQueue<(FrameType Type, Digest Manifest)> _asked = new();
    private NetworkStream? _control;
    private int _fetches;

    /// <param name="answer">What is done about a fetch.</param>
    public LyingPeer(TestCheckpoint checkpoint, Answer answer)
    {
        _checkpoint = checkpoint;
        _answer = answer;
        _listener = new ScriptedListener(PlayAsync);
    }

    /// <summary>What it answers to a request for a lease, on the lane for that; else nothing.</summary>
    public Func<uint, ShardInfo, IEnumerable<byte[]>>? Locate { get; init; }

    /// <summary>The ordinals that it announces; null for all.</summary>
    public int[]? Holds { get; init; }

    /// <summary>An arena on this host, which it proves to be its own; else it has none.</summary>
    public ArenaInfo? Arena { get; init; }

    /// <summary>Answers one fetch on the stream.</summary>
    public delegate Task Answer(NetworkStream stream, uint id, ShardInfo shard, byte[] bytes, CancellationToken cancellationToken);

    /// <summary>Fetches asked so far.</summary>
    public int Fetches => Volatile.Read(ref _fetches);

    /// <summary>The subscriptions that came and went, in their order; a subscription once it is answered.</summary>
    public IReadOnlyList<(FrameType Type, Digest Manifest)> Asked => [.. _asked];

    public PeerInfo Info => new(_id, "liar", [_listener.EndPoint.ToString()], "host", ImmutableSortedDictionary<string, string>.Empty);

    /// <summary>The header of a data frame that says it has <paramref name="announced"/> bytes.</summary>
    public static async Task SendHeaderAsync(NetworkStream stream, uint id, int announced, CancellationToken cancellationToken)
    {
        var header = new byte[FrameHeader.Size];
        new FrameHeader(FrameType.Data, id, announced).Write(header);
        await stream.WriteAsync(header, cancellationToken);
    }

    /// <summary>A data frame that says it has <paramref name="announced"/> bytes, followed by <paramref name="payload"/>.</summary>
    public static async Task SendDataAsync(NetworkStream stream, uint id, int announced, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken)
    {
        await SendHeaderAsync(stream, id, announced, cancellationToken);
        await stream.WriteAsync(payload, cancellationToken);
    }

    /// <summary>Announces its shards on the control lane, again.</summary>
    public Task AnnounceAsync(CancellationToken cancellationToken) => AnnounceAsync(_checkpoint, cancellationToken);

    /// <summary>Announces its shards of some checkpoint on the control lane.</summary>
    public async Task AnnounceAsync(TestCheckpoint checkpoint, CancellationToken cancellationToken)
    {
        var held = new ShardBitmap(checkpoint.Manifest.Shards.Length);
        Array.ForEach(Holds ?? checkpoint.All, ordinal => held[ordinal] = true);
        await _control!.WriteAsync(FrameCodec.Encode(0, new BitmapMessage(checkpoint.Manifest.Digest, held, IsPublisher: false)), cancellationToken);
    }

    public ValueTask DisposeAsync() => _listener.DisposeAsync();

    private async Task PlayAsync(NetworkStream stream, CancellationToken cancellationToken)
    {
        var (_, hello) = await ReadAsync(stream, cancellationToken);
        var lane = FrameCodec.Decode<HelloMessage>(hello).Lane;
        await stream.WriteAsync(FrameCodec.Encode(0, new HelloAckMessage(_id, "liar", ClusterProof.NewNonce(), default)), cancellationToken);
        await ReadAsync(stream, cancellationToken);
        await stream.WriteAsync(FrameCodec.Encode(0, FrameType.Ready), cancellationToken);
        while (true)
        {
            var (header, payload) = await ReadAsync(stream, cancellationToken);
            if (lane == LaneKind.Control && header.Type == FrameType.Subscribe)
            {
                _control = stream;
                await AnnounceAsync(cancellationToken);
                _asked.Enqueue((header.Type, FrameCodec.Decode<SubscribeMessage>(payload).Manifest));
            }
            else if (header.Type == FrameType.Unsubscribe)
            {
                _asked.Enqueue((header.Type, FrameCodec.Decode<UnsubscribeMessage>(payload).Manifest));
            }
            else if (header.Type == FrameType.Fetch)
            {
                Interlocked.Increment(ref _fetches);
                var shard = FrameCodec.Decode<FetchMessage>(payload).Shard;
                await _answer(stream, header.RequestId, shard, _checkpoint.Bytes[_checkpoint.Manifest.Shards.IndexOf(shard)], cancellationToken);
            }
            else if (header.Type == FrameType.ProveHost)
            {
                var challenge = FrameCodec.Decode<ProveHostMessage>(payload).Challenge;
                var proof = Arena is { } arena ? new HostProofMessage(arena.Path, HostProof.Compute(arena.Nonce, challenge.Span, _id)) : new HostProofMessage("", default);
                await stream.WriteAsync(FrameCodec.Encode(header.RequestId, proof), cancellationToken);
            }
            else if (header.Type == FrameType.Locate)
            {
                foreach (var frame in Locate?.Invoke(header.RequestId, FrameCodec.Decode<LocateMessage>(payload).Shard) ?? [])
                {
                    await stream.WriteAsync(frame, cancellationToken);
                }
            }
        }
    }

    private static async Task<(FrameHeader Header, byte[] Payload)> ReadAsync(NetworkStream stream, CancellationToken cancellationToken)
    {
        var bytes = new byte[FrameHeader.Size];
        await stream.ReadExactlyAsync(bytes, cancellationToken);
        Assert.True(FrameHeader.TryRead(bytes, out var header, out var problem), problem);
        var payload = new byte[header.Length];
        await stream.ReadExactlyAsync(payload, cancellationToken);
        return (header, payload);
    }
}
