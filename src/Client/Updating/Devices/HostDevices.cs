using P2PWeights.Client.Engines;

namespace P2PWeights.Client.Updating.Devices;

/// <summary>Devices in the host's memory, for engines on CPUs: one for each rank, with slots in a file of a tmpfs, and threads in the place of copy engines.</summary>
internal sealed class HostDevices : IUpdateDevices
{
    private readonly string _root;

    /// <param name="root">The mount that holds the slots. Those that processes left which are gone are deleted.</param>
    public HostDevices(string root)
    {
        _root = root;
        HostDevice.Sweep(root);
    }

    public IUpdateDevice Open(EngineDevice device) => new HostDevice(device.Id, _root);

    /// <summary>All memory of the host is ready as it is.</summary>
    public IDisposable Register(nint address, long length) => Nothing.Instance;

    public ICollective OpenCollective(IReadOnlyList<IUpdateDevice> devices) =>
        throw new UpdateException("NCCL moves bytes between GPUs only: for engines in the host's memory leave out --broadcast nccl");

    public void Dispose()
    {
    }

    private sealed class Nothing : IDisposable
    {
        public static Nothing Instance { get; } = new();

        public void Dispose()
        {
        }
    }
}
