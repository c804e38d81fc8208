using System.Buffers;
using System.Runtime.CompilerServices;
using P2PWeights.Store;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Serving;

/// <summary>
/// Sends a leased shard over a connection. Bytes in the arena go out with <c>send</c> from the mapping: the kernel takes its copy before the lease ends, so that the block may be
/// used again at once, and the receiver gets long segments. Bytes in a file go out with <c>sendfile</c>, which hands over the page cache itself. See adr 11. One sender per connection.
/// </summary>
internal sealed class ShardSender(FrameConnection connection, ByteRate rate)
{
    /// <summary>Bytes handed to the kernel at once, so that a send deadline means progress and not the whole shard.</summary>
    private const int SliceBytes = 4 << 20;

    /// <summary>What goes through this process whenever the socket is full; see <see cref="SendFileAsync"/>.</summary>
    private const int BridgeBytes = 16 << 10;

    private byte[]? _bridge;

    /// <summary>Sends all bytes of the shard.</summary>
    /// <exception cref="IOException">The connection ended, or the file could not be read; part of the shard may have been sent.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask SendAsync(ShardLease lease, CancellationToken cancellationToken)
    {
        var slice = Math.Min(SliceBytes, rate.SliceBytes);
        for (var sent = 0; sent < lease.Shard.Size;)
        {
            var count = Math.Min(slice, lease.Shard.Size - sent);
            await rate.TakeAsync(count, cancellationToken).ConfigureAwait(false);
            if (lease.IsBorrowed)
            {
                await SendBorrowedAsync(lease, sent, count, cancellationToken).ConfigureAwait(false);
            }
            else if (lease.Memory.IsEmpty)
            {
                await SendFileAsync(lease, sent, count, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                await connection.SendAsync(lease.Memory.Slice(sent, count), cancellationToken).ConfigureAwait(false);
            }

            sent += count;

            // A caller that waits for its bytes has nothing to say: what it takes is its sign of life.
            connection.ExpectFrame(WireLimits.IdleTimeout);
        }
    }

    /// <summary>
    /// What lies in another node's arena is checked after it was read, and the kernel would read what sendfile hands it only when the peer takes it: so it goes through a buffer.
    /// </summary>
    private async ValueTask SendBorrowedAsync(ShardLease lease, int start, int count, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(count);
        try
        {
            await lease.ReadAsync(start, buffer.AsMemory(0, count), cancellationToken).ConfigureAwait(false);
            await connection.SendAsync(buffer.AsMemory(0, count), cancellationToken).ConfigureAwait(false);
        }
        catch (StoreException failure)
        {
            throw new IOException(failure.Message, failure);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>
    /// Sends a range of a file. Whenever the socket is full, the next few kilobytes take the ordinary way: that send waits until there is room again, a good part of the socket's buffer at once,
    /// and sendfile goes on from there. So nothing blocks a thread, and nothing but sockets is waited for.
    /// </summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendFileAsync(ShardLease lease, int start, int count, CancellationToken cancellationToken)
    {
        for (int sent = 0, now; sent < count; sent += now)
        {
            var offset = lease.Offset + start + sent;
            if (connection.TrySendFile(lease.File, offset, count - sent) is { } taken)
            {
                now = taken;
            }
            else
            {
                _bridge ??= GC.AllocateUninitializedArray<byte>(BridgeBytes, pinned: true);
                now = RandomAccess.Read(lease.File, _bridge.AsSpan(0, Math.Min(BridgeBytes, count - sent)), offset);
                await connection.SendAsync(_bridge.AsMemory(0, now), cancellationToken).ConfigureAwait(false);
            }

            if (now == 0)
            {
                throw new IOException($"{lease.Path} ends at {offset}, in the middle of shard {lease.Shard.Digest.ToShortString()}");
            }
        }
    }
}
