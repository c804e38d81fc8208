using P2PWeights.Store.Content;

namespace P2PWeights.Client.Updating;

/// <summary>Finds every fault of an <see cref="UpdateRequest"/> at once, before an engine is asked for anything: it may come from any process that reaches the socket.</summary>
internal static class UpdateRequestCheck
{
    /// <exception cref="NodeException"><see cref="NodeError.Usage"/>: the request has faults; the message lists them.</exception>
    public static void Require(UpdateRequest request)
    {
        var faults = Faults(request).ToList();
        if (faults.Count > 0)
        {
            throw new NodeException(NodeError.Usage, $"the update was refused: {string.Join("; ", faults)}; no engine was changed");
        }
    }

    private static IEnumerable<string> Faults(UpdateRequest request)
    {
        if (request.Broadcast is not (BroadcastModes.Peer or BroadcastModes.Nccl))
        {
            yield return $"'{request.Broadcast}' is no way to broadcast, which are {BroadcastModes.Peer} and {BroadcastModes.Nccl}";
        }

        if (request.SlotBytes < UpdateRequest.MinSlotBytes)
        {
            yield return $"slots of {request.SlotBytes} bytes are less than {ByteSize.Format(UpdateRequest.MinSlotBytes)}";
        }

        if (request.Slots is < 1 or > UpdateRequest.MaxSlots)
        {
            yield return $"{request.Slots} slots per GPU are not between 1 and {UpdateRequest.MaxSlots}";
        }

        if (request.MemoryFraction is not (> 0 and <= 1))
        {
            yield return $"{request.MemoryFraction} is no part of a GPU's memory, which is above 0 and at most 1";
        }

        if (request.DeviceTimeout < UpdateRequest.MinDeviceTimeout || request.DeviceTimeout > UpdateRequest.MaxDeviceTimeout)
        {
            yield return $"{request.DeviceTimeout} for a GPU's copies is not between {UpdateRequest.MinDeviceTimeout} and {UpdateRequest.MaxDeviceTimeout}";
        }
    }
}
