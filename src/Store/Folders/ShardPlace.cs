namespace P2PWeights.Store.Folders;

/// <summary>A range of a file in a <see cref="CheckpointFolder"/> that holds a shard.</summary>
/// <param name="Path">Full path of the file as it is named now: unfinished files get another name at completion, but stay the same inode, so an open handle stays good.</param>
/// <param name="Offset">Where in the file the shard starts.</param>
internal readonly record struct ShardPlace(string Path, long Offset);
