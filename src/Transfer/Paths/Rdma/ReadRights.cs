using System.Collections.Concurrent;
using P2PWeights.Native;
using P2PWeights.Native.Verbs;

namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>
/// Gives and takes back the right to read ranges of this node's memory, by one device, for one peer. With memory windows a right costs a work request of microseconds;
/// a device without them registers the range anew for each lease. A window is of the kind that all queue pairs of the protection domain honour, so one key serves all
/// of the peer's queue pairs on the device. Thread-safe.
/// </summary>
/// <param name="device">The device.</param>
/// <param name="queues">The queue pairs connected with the peer there: binding a window is work for one of them.</param>
internal sealed class ReadRights(RdmaDevice device, IReadOnlyList<RdmaQueue> queues) : IDisposable
{
    // First in, first out: the key that was in use last comes round again last.
    private readonly ConcurrentQueue<MemoryWindow> _spare = [];

    // Never more binds than a queue pair takes. It has nothing to free.
    private readonly SemaphoreSlim _posting = new(queues.Min(queue => queue.Depth));
    private volatile bool _disposed;

    /// <summary>Makes a range readable.</summary>
    /// <returns>What ends it again, or why it could not be done.</returns>
    public async ValueTask<(IReadRight? Right, PathFailure? Failure)> GrantAsync(nint address, int bytes)
    {
        if (device.FindRegion(address, bytes) is not { } region)
        {
            return (null, new PathFailure(FailureReasons.Failed, $"the shard lies outside the memory registered with {device.Name}"));
        }

        try
        {
            return device.HasWindows
                ? await BindAsync(region.Region, address, bytes).ConfigureAwait(false)
                : (new RegistrationRight(MemoryRegion.Register(device.Domain, address, bytes, MemoryAccess.RemoteRead)), null);
        }
        catch (NativeException failure)
        {
            return (null, device.Failure ?? new PathFailure(FailureReasons.DeviceLost, failure.Message));
        }
    }

    public void Dispose()
    {
        _disposed = true;
        while (_spare.TryDequeue(out var window))
        {
            window.Dispose();
        }
    }

    private async ValueTask<(IReadRight? Right, PathFailure? Failure)> BindAsync(MemoryRegion region, nint address, int bytes)
    {
        var window = _spare.TryDequeue(out var spare) ? spare : MemoryWindow.Create(device.Domain);
        if (await BindAsync(window, region, address, bytes).ConfigureAwait(false) is { } failure)
        {
            window.Dispose();
            return (null, failure);
        }

        return (new WindowRight(this, window, region, address), null);
    }

    /// <summary>Binds a window by the first queue pair that still does it.</summary>
    private async ValueTask<PathFailure?> BindAsync(MemoryWindow window, MemoryRegion region, nint address, int bytes)
    {
        PathFailure? failure = null;
        await _posting.WaitAsync().ConfigureAwait(false);
        try
        {
            foreach (var queue in queues)
            {
                failure = await queue.BindAsync(window, region, address, bytes).ConfigureAwait(false);
                if (failure is null)
                {
                    return null;
                }
            }

            return failure;
        }
        finally
        {
            _posting.Release();
        }
    }

    /// <summary>A window bound to a range.</summary>
    private sealed class WindowRight(ReadRights rights, MemoryWindow window, MemoryRegion region, nint address) : IReadRight
    {
        public uint Key { get; } = window.RemoteKey;

        public async ValueTask EndAsync()
        {
            // A window bound to nothing is ready for the next lease, under another key. One that cannot be bound any more is destroyed, which ends it as surely.
            if (rights._disposed || await rights.BindAsync(window, region, address, 0).ConfigureAwait(false) is not null)
            {
                window.Dispose();
                return;
            }

            rights._spare.Enqueue(window);
            if (rights._disposed)
            {
                rights.Dispose();
            }
        }
    }

    /// <summary>A range registered for one lease.</summary>
    private sealed class RegistrationRight(MemoryRegion region) : IReadRight
    {
        public uint Key { get; } = region.RemoteKey;

        public ValueTask EndAsync()
        {
            region.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
