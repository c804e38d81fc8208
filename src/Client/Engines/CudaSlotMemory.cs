namespace P2PWeights.Client.Engines;

/// <summary>Slots in a GPU's memory.</summary>
/// <param name="DeviceUuid">The GPU, as in <see cref="EngineDevice.Id"/>.</param>
/// <param name="IpcHandle">The 64 bytes of cuIpcGetMemHandle for a block of cuMemAlloc (pools and virtual memory management have none).</param>
/// <param name="Offset">First byte of the slots, from the start of the block.</param>
/// <param name="Size">Bytes of the slots together.</param>
internal sealed record CudaSlotMemory(string DeviceUuid, ReadOnlyMemory<byte> IpcHandle, long Offset, long Size) : SlotMemory(Size);
