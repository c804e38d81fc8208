using Microsoft.Win32.SafeHandles;
using P2PWeights.Store.Content;

namespace P2PWeights.Store;

/// <summary>Reads the bytes of a shard out of a file.</summary>
internal static class FileRange
{
    /// <summary>Fills the destination from an offset on.</summary>
    /// <param name="shard">Whose bytes they are, for messages.</param>
    /// <exception cref="StoreException"><see cref="StoreError.Io"/>: the file could not be read, or ends early.</exception>
    public static async ValueTask ReadAsync(ShardInfo shard, SafeFileHandle file, long offset, Memory<byte> destination, CancellationToken cancellationToken)
    {
        try
        {
            for (var done = 0; done < destination.Length;)
            {
                var read = await RandomAccess.ReadAsync(file, destination[done..], offset + done, cancellationToken).ConfigureAwait(false);
                if (read == 0)
                {
                    throw new StoreException(
                        StoreError.Io, $"shard {shard.Digest.ToShortString()} of {shard.Size} bytes ends {destination.Length - done} bytes early: its file was cut short", shard.Digest);
                }

                done += read;
            }
        }
        catch (IOException failure)
        {
            throw new StoreException(StoreError.Io, $"shard {shard.Digest.ToShortString()} cannot be read: {failure.Message}", shard.Digest, failure);
        }
    }
}
