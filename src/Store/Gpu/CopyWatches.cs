using System.Collections.Concurrent;

namespace P2PWeights.Store.Gpu;

/// <summary>The watches of all devices, one for the copies of each with the host and one for those of each pair: a device that has stalled has done so for all. Thread-safe.</summary>
internal sealed class CopyWatches(TimeProvider time)
{
    /// <summary>By the devices' names; the second is null for the copies of the first with the host.</summary>
    private readonly ConcurrentDictionary<(string From, string? To), CopyWatch> _watches = new();

    /// <exception cref="IOException">The device has stalled.</exception>
    public void ThrowIfStalled(string device) => WatchOf(device).ThrowIfStalled();

    /// <summary>A copy of a device with the host, or inside of it.</summary>
    /// <exception cref="IOException">As of <see cref="CopyWatch.WithinAsync"/>.</exception>
    public Task WithinAsync(string device, Func<Task> begin) => WatchOf(device).WithinAsync(begin);

    /// <summary>
    /// A copy from one device to another. When it does not end in time, there are no more in that direction; and the one whose copies with others have stopped too gets none at all. What goes
    /// the other way between the two says nothing of either, nor does what stopped because of a third that has stalled.
    /// </summary>
    /// <exception cref="IOException">As of <see cref="CopyWatch.WithinAsync"/>; a stall names both.</exception>
    public async Task WithinAsync(string from, string to, Func<Task> begin)
    {
        ThrowIfStalled(from);
        ThrowIfStalled(to);
        try
        {
            await _watches.GetOrAdd((from, to), static (pair, time) => new CopyWatch($"the link from {pair.From} to {pair.To}", time), time).WithinAsync(begin).ConfigureAwait(false);
        }
        catch (StalledDeviceException)
        {
            foreach (var device in (ReadOnlySpan<string>)[from, to])
            {
                var other = device == from ? to : from;
                if (_watches.Any(pair => Involves(pair.Key, device) && !Involves(pair.Key, other) && pair.Value.HasStopped && !HasStalled(pair.Key, except: device)))
                {
                    WatchOf(device).Stall();
                }
            }

            throw;
        }
    }

    private static bool Involves((string From, string? To) pair, string device) => pair.From == device || pair.To == device;

    /// <summary>Whether the other end of a pair has stalled by itself.</summary>
    private bool HasStalled((string From, string? To) pair, string except) =>
        (pair.From == except ? pair.To : pair.From) is { } end && _watches.TryGetValue((end, null), out var watch) && watch.IsStalled;

    private CopyWatch WatchOf(string device) => _watches.GetOrAdd((device, null), static (pair, time) => new CopyWatch(pair.From, time), time);
}
