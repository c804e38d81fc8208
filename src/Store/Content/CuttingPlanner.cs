using System.Collections.Immutable;

namespace P2PWeights.Store.Content;

/// <summary>
/// Decides where a file is cut into shards. Depends on nothing but the file's bytes and the limit, so two publishers agree, and
/// a tensor that did not change between two versions keeps its shards wherever it moved.
/// </summary>
public static class CuttingPlanner
{
    /// <summary>A tensor of at least this many bytes starts a new shard.</summary>
    public const int LargeTensorBytes = 1 << 20;

    /// <summary>
    /// Cuts a safetensors file.
    /// <list type="bullet">
    /// <item>A tensor of <see cref="LargeTensorBytes"/> or more starts a new shard, is cut every <paramref name="maxShardBytes"/>, and its last, shorter piece
    /// is a shard of its own: what follows starts another. So its shards depend on its bytes alone.</item>
    /// <item>Between large tensors, the header and the smaller tensors are packed in file order: one that no longer fits in the shard being filled starts the
    /// next, so that none is divided without need. One larger than a whole shard is cut every <paramref name="maxShardBytes"/>, and packing goes on behind its
    /// last piece.</item>
    /// </list>
    /// </summary>
    /// <returns>Lengths in bytes of the extents, in file order; they add up to <paramref name="fileSize"/>; none for an empty file.</returns>
    /// <exception cref="ArgumentException">The header is not the header of a file of this size.</exception>
    /// <exception cref="ManifestException">More shards than a manifest can hold.</exception>
    public static ImmutableArray<int> CutSafetensors(SafetensorsHeader header, long fileSize, int maxShardBytes)
    {
        ArgumentNullException.ThrowIfNull(header);
        var cuts = new Cuts(fileSize, maxShardBytes);
        cuts.Pack(header.DataOffset);
        foreach (var tensor in header.Tensors)
        {
            if (tensor.Length >= LargeTensorBytes)
            {
                cuts.Close();
                cuts.Pack(tensor.Length);
                cuts.Close();
            }
            else
            {
                cuts.Pack(tensor.Length);
            }
        }

        return cuts.Finish();
    }

    /// <summary>Cuts any other file every <paramref name="maxShardBytes"/>.</summary>
    /// <returns>As <see cref="CutSafetensors"/>.</returns>
    /// <exception cref="ManifestException">More shards than a manifest can hold.</exception>
    public static ImmutableArray<int> CutPlain(long fileSize, int maxShardBytes)
    {
        var cuts = new Cuts(fileSize, maxShardBytes);
        cuts.Pack(fileSize);
        return cuts.Finish();
    }

    /// <summary>The extents so far, and the open one that is being filled.</summary>
    private struct Cuts
    {
        private readonly ImmutableArray<int>.Builder _extents;
        private readonly long _fileSize;
        private readonly int _max;
        private long _packed;
        private int _open;

        public Cuts(long fileSize, int maxShardBytes)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(fileSize);
            ArgumentOutOfRangeException.ThrowIfLessThan(maxShardBytes, 1);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(maxShardBytes, Manifest.LargestShardBytes);
            if (fileSize / maxShardBytes >= Manifest.MaxExtents)
            {
                throw new ManifestException($"a file of {fileSize} bytes cut every {maxShardBytes} bytes has more shards than the {Manifest.MaxExtents} a manifest can hold");
            }

            (_fileSize, _max) = (fileSize, maxShardBytes);
            _extents = ImmutableArray.CreateBuilder<int>((int)(fileSize / maxShardBytes) + 1);
        }

        /// <summary>Adds a part of the file: behind the open extent when it fits there, else from a new one on.</summary>
        public void Pack(long length)
        {
            if (length > _fileSize - _packed)
            {
                throw new ArgumentException($"the header describes more than the {_fileSize} bytes of the file");
            }

            _packed += length;
            if (length > _max - _open)
            {
                Close();
            }

            for (; length > _max; length -= _max)
            {
                _extents.Add(_max);
            }

            _open += (int)length;
        }

        /// <summary>Ends the open extent, so that what follows starts a new shard.</summary>
        public void Close()
        {
            if (_open > 0)
            {
                _extents.Add(_open);
                _open = 0;
            }
        }

        public ImmutableArray<int> Finish()
        {
            Close();
            return _packed == _fileSize
                ? _extents.DrainToImmutable()
                : throw new ArgumentException($"the header describes {_packed} of the {_fileSize} bytes of the file");
        }
    }
}
