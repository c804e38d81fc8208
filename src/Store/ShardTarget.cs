using P2PWeights.Store.Folders;

namespace P2PWeights.Store;

/// <summary>Where a shard on its way in is to stay. The default: memory, else disk. A folder stands for itself, so that it can be given in this one's place.</summary>
public readonly record struct ShardTarget
{
    private readonly int _gpuAndOne;

    private ShardTarget(CheckpointFolder? folder, int gpuAndOne) => (Folder, _gpuAndOne) = (folder, gpuAndOne);

    /// <summary>The folder whose files the shard is to become part of; null for the tiers.</summary>
    public CheckpointFolder? Folder { get; }

    /// <summary>The place in <see cref="ShardStore.Gpus"/> of the GPU whose memory is to hold it; null for the other tiers.</summary>
    public int? Gpu => _gpuAndOne == 0 ? null : _gpuAndOne - 1;

    public static implicit operator ShardTarget(CheckpointFolder? folder) => new(folder, 0);

    /// <summary>The gpu tier.</summary>
    /// <param name="gpu">A place in <see cref="ShardStore.Gpus"/>.</param>
    public static ShardTarget InGpu(int gpu) => new(null, gpu + 1);
}
