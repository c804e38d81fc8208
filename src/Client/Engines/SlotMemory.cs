namespace P2PWeights.Client.Engines;

/// <summary>
/// The one allocation that holds all slots of a device during an update, described so that an engine can open it. Its owner keeps it until every channel
/// that was opened with it is released, aborted or disposed.
/// </summary>
/// <param name="Size">Bytes of the slots together.</param>
internal abstract record SlotMemory(long Size);
