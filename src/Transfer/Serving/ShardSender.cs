using System.Buffers;
using System.Net.Sockets;
using P2PWeights.Store;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Serving;

/// <summary>
/// Sends a leased shard over a connection without a copy in user space. Bytes in the arena go out with <c>send</c> from the mapping, which costs a fifth less CPU
/// here than sendfile from tmpfs (its 4 KiB pages make short segments); bytes in a file go out with <c>sendfile</c>, never touching this process.
/// One sender per connection.
/// </summary>
internal sealed class ShardSender(FrameConnection connection, ByteRate rate) : IDisposable
{
    /// <summary>Bytes handed to the kernel at once, so that a send deadline means progress and not the whole shard.</summary>
    private const int SliceBytes = 4 << 20;

    private readonly SendOperation _operation = new();

    /// <summary>Sends all bytes of the shard.</summary>
    /// <exception cref="IOException">The connection ended, or the file could not be read; part of the shard may have been sent.</exception>
    public async ValueTask SendAsync(ShardLease lease, CancellationToken cancellationToken)
    {
        using var file = lease.Memory.IsEmpty && !lease.IsBorrowed ? OpenForSending(lease) : null;
        var slice = Math.Min(SliceBytes, rate.SliceBytes);
        for (var sent = 0; sent < lease.Shard.Size;)
        {
            var count = Math.Min(slice, lease.Shard.Size - sent);
            await rate.TakeAsync(count, cancellationToken).ConfigureAwait(false);
            if (lease.IsBorrowed)
            {
                await SendBorrowedAsync(lease, sent, count, cancellationToken).ConfigureAwait(false);
            }
            else if (file is null)
            {
                await connection.SendAsync(lease.Memory.Slice(sent, count), cancellationToken).ConfigureAwait(false);
            }
            else
            {
                await SendFileAsync(file, lease.Offset + sent, count).ConfigureAwait(false);
            }

            sent += count;

            // A caller that waits for its bytes has nothing to say: what it takes is its sign of life.
            connection.ExpectFrame(WireLimits.IdleTimeout);
        }
    }

    public void Dispose() => _operation.Dispose();

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

    private async ValueTask SendFileAsync(FileStream file, long offset, int count)
    {
        connection.BeginSend();
        try
        {
            var sent = await _operation.SendAsync(connection.Socket, new SendPacketsElement(file, offset, count)).ConfigureAwait(false);
            if (sent != count)
            {
                throw new IOException($"{file.Name} ended after {sent} of {count} bytes at {offset}");
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw connection.Lost(e);
        }

        connection.EndSend();
    }

    /// <summary>
    /// The runtime takes a file to send as a FileStream opened for asynchronous use. The lease's handle belongs to the store and is shared, so the same file is
    /// opened a second time through /proc (proc(5), /proc/pid/fd), which also works when its name is gone.
    /// </summary>
    private static FileStream OpenForSending(ShardLease lease)
    {
        var counted = false;
        try
        {
            lease.File.DangerousAddRef(ref counted);
            return new FileStream(
                $"/proc/self/fd/{lease.File.DangerousGetHandle()}",
                new FileStreamOptions
                {
                    Mode = FileMode.Open,
                    Access = FileAccess.Read,
                    Share = FileShare.ReadWrite | FileShare.Delete,
                    BufferSize = 0,
                    Options = FileOptions.Asynchronous,
                });
        }
        finally
        {
            if (counted)
            {
                lease.File.DangerousRelease();
            }
        }
    }
}
