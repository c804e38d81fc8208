namespace P2PWeights.Client.Engines;

/// <summary>Slots in the host's memory: a file of a tmpfs that both processes map.</summary>
/// <param name="Path">The file's absolute path, which the engine must see too and may read.</param>
/// <param name="Size">Bytes of the slots together, from the start of the file.</param>
internal sealed record HostSlotMemory(string Path, long Size) : SlotMemory(Size);
