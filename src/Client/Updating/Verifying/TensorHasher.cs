using System.Buffers;
using System.Collections.Immutable;
using System.Security.Cryptography;
using P2PWeights.Store;
using P2PWeights.Store.Content;

namespace P2PWeights.Client.Updating.Verifying;

/// <summary>SHA-256 of tensors out of the store, which hands out only shards that it has verified: what the answers of engines are held against.</summary>
/// <param name="lease">Leases a shard of the manifest, by its ordinal.</param>
internal sealed class TensorHasher(ShardMap map, Func<int, CancellationToken, ValueTask<ShardLease>> lease)
{
    private const int BlockBytes = 1 << 20;

    /// <summary>The digests, 32 bytes each, in the order of the tensors; on all cores.</summary>
    /// <exception cref="StoreException">A shard is gone, or cannot be read.</exception>
    public async Task<ImmutableArray<ReadOnlyMemory<byte>>> HashAsync(ImmutableArray<TensorInfo> tensors, CancellationToken cancellationToken)
    {
        var digests = new ReadOnlyMemory<byte>[tensors.Length];
        await Parallel.ForAsync(0, tensors.Length, cancellationToken, async (index, token) => digests[index] = await HashAsync(tensors[index], token).ConfigureAwait(false)).ConfigureAwait(false);
        return [.. digests];
    }

    private async Task<byte[]> HashAsync(TensorInfo tensor, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var piece in map.Pieces(tensor))
        {
            using var shard = await lease(piece.Ordinal, cancellationToken).ConfigureAwait(false);
            if (!shard.Memory.IsEmpty)
            {
                hash.AppendData(shard.Memory.Span.Slice(piece.Start, piece.Length));
                continue;
            }

            var block = ArrayPool<byte>.Shared.Rent(BlockBytes);
            try
            {
                for (var done = 0; done < piece.Length; done += BlockBytes)
                {
                    var part = block.AsMemory(0, Math.Min(BlockBytes, piece.Length - done));
                    await shard.ReadAsync(piece.Start + done, part, cancellationToken).ConfigureAwait(false);
                    hash.AppendData(part.Span);
                }
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(block);
            }
        }

        return hash.GetHashAndReset();
    }
}
