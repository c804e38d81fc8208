using P2PWeights.Tracker;

namespace P2PWeights.Client;

/// <summary>A checkpoint with its files and tensors.</summary>
public sealed record CheckpointDetails(CheckpointInfo Info, int MaxShardBytes, IReadOnlyList<FileDetails> Files, IReadOnlyList<TensorDetails> Tensors, IReadOnlyDictionary<string, string> Metadata);

/// <summary>A file of a checkpoint.</summary>
public sealed record FileDetails(string Path, long Size, int Shards);

/// <summary>A tensor of a checkpoint.</summary>
public sealed record TensorDetails(string Name, string DType, IReadOnlyList<long> Shape, string File, long Offset, long Length);
