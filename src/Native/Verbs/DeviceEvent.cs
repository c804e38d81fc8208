namespace P2PWeights.Native.Verbs;

/// <summary>What happened to a device outside any work request (<c>enum ibv_event_type</c>).</summary>
public enum DeviceEventKind
{
    CompletionQueueError = 0,
    QueuePairFatal = 1,
    QueuePairRequestError = 2,
    QueuePairAccessError = 3,
    CommunicationEstablished = 4,
    SendQueueDrained = 5,
    PathMigrated = 6,
    PathMigrationError = 7,

    /// <summary>The device is gone or broken: every object of it is dead.</summary>
    DeviceFatal = 8,
    PortActive = 9,

    /// <summary>The port went down; queue pairs on it fail when their retries are used up.</summary>
    PortError = 10,
    LidChange = 11,
    PartitionKeyChange = 12,
    SubnetManagerChange = 13,
    SharedReceiveQueueError = 14,
    SharedReceiveQueueLimit = 15,
    LastRequestReached = 16,
    ClientReregister = 17,

    /// <summary>The GID table changed, an address was taken away for instance: read it again.</summary>
    GidChange = 18,
    WorkQueueFatal = 19,
}

/// <summary>An asynchronous event.</summary>
/// <param name="Kind">What happened; numbers of newer libraries may have no name here.</param>
/// <param name="Port">The port it happened to; 0 when it is not a port's.</param>
/// <param name="QueuePair">The number of the queue pair it happened to; 0 when it is not a queue pair's.</param>
public readonly record struct DeviceEvent(DeviceEventKind Kind, byte Port, uint QueuePair);
