using System.Buffers;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Store.Leasing;

/// <summary>Hashes a leased replica where it lies.</summary>
internal static class ReplicaProof
{
    private const int PieceBytes = 1 << 20;

    /// <summary>Null when the bytes hash to the shard's digest, else a sentence on what they are instead. A file that cannot be read is a problem of its bytes.</summary>
    public static async ValueTask<string?> ProblemAsync(ShardLease lease, CancellationToken cancellationToken)
    {
        Digest actual;
        try
        {
            actual = lease.Memory.IsEmpty ? await HashFileAsync(lease, cancellationToken).ConfigureAwait(false) : Blake3.Hash(lease.Memory.Span);
        }
        catch (StoreException failure)
        {
            return failure.Message;
        }

        return actual == lease.Shard.Digest ? null : $"its {lease.Shard.Size} bytes hash to {actual}";
    }

    private static async ValueTask<Digest> HashFileAsync(ShardLease lease, CancellationToken cancellationToken)
    {
        var hasher = new Blake3Hasher();
        var buffer = ArrayPool<byte>.Shared.Rent(Math.Min(PieceBytes, lease.Shard.Size));
        try
        {
            for (var done = 0; done < lease.Shard.Size;)
            {
                var piece = buffer.AsMemory(0, Math.Min(PieceBytes, lease.Shard.Size - done));
                await lease.ReadAsync(done, piece, cancellationToken).ConfigureAwait(false);
                hasher.Update(piece.Span);
                done += piece.Length;
            }

            return hasher.Finish();
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
