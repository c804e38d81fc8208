using P2PWeights.Native;
using P2PWeights.Native.Verbs;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>
/// One-sided reads of the peer's registered memory, over every pair of devices that reach each other. The peer's CPU takes part only in granting leases. Queue pairs are
/// connected through the session's lease lane.
/// </summary>
internal sealed class RdmaPath(RdmaHost host, ByteRate downloadRate, TimeProvider time) : ITransferPath
{
    public string Name => PathNames.Rdma;

    public async ValueTask<PathOpening> OpenAsync(PeerSession peer, CancellationToken cancellationToken)
    {
        var made = new List<(RdmaDevice Device, IReadOnlyList<RdmaQueue> Queues)>();
        var used = new List<(int Index, RdmaQueue Queue)>();
        try
        {
            foreach (var device in await host.GetDevicesAsync(cancellationToken).ConfigureAwait(false))
            {
                made.Add((device, await RdmaHost.MakeQueuesAsync(device, host.Options.RdmaQueuePairs, host.Options.RdmaDepth, reader: null).ConfigureAwait(false)));
            }

            var leases = await peer.LeasesAsync(cancellationToken).ConfigureAwait(false);
            var mine = new ConnectQueuesMessage([.. made.Select((device, index) => RdmaHost.Describe(index, device.Device, device.Queues))]);
            var theirs = await leases.ConnectQueuesAsync(mine, cancellationToken).ConfigureAwait(false);
            var problems = made.Where((device, index) => IsLeftOut(index, device.Device, theirs))
                .Select(device => $"{device.Device.Name} was given no partner by the peer, whose log says why").ToList();
            foreach (var device in theirs.Devices)
            {
                Connect(device, made, used, problems);
            }

            if (used.Count == 0)
            {
                return PathOpening.Unreachable(string.Join("; ", problems));
            }

            var readBytes = made.Min(device => (int)Math.Min(device.Device.MaxReadBytes, host.Options.RdmaReadBytes));
            var unpaired = problems.Select(problem => new PathFailure(FailureReasons.Unreachable, problem));
            var channel = new RdmaChannel(peer, leases, [.. used], unpaired, readBytes, downloadRate, time, host.Log);
            made = [.. made.Select(device => (device.Device, (IReadOnlyList<RdmaQueue>)[.. device.Queues.Where(queue => !used.Exists(pair => pair.Queue == queue))]))];
            return PathOpening.Open(channel);
        }
        catch (Exception failure) when (failure is TransferException or IOException)
        {
            return PathOpening.Unreachable(failure.Message);
        }
        finally
        {
            // All of them when there is no channel; else those that the peer has no partner for.
            await RdmaHost.DisposeAsync(made.SelectMany(device => device.Queues)).ConfigureAwait(false);
        }
    }

    /// <summary>Whether the peer connected nothing to a device that one of its own could reach: every such device is to have a partner (<see cref="PortPairing"/>).</summary>
    private static bool IsLeftOut(int index, RdmaDevice device, QueuesConnectedMessage theirs) =>
        !theirs.Devices.Any(their => their.Index == index) && theirs.Devices.Any(their => device.Address.Reaches(new PortAddress(their.Link, their.Gid)));

    /// <summary>Connects a device's queue pairs with those that the peer answered with.</summary>
    /// <exception cref="TransferException">The peer answered what was not asked.</exception>
    private static void Connect(
        QueueDevice theirs, List<(RdmaDevice Device, IReadOnlyList<RdmaQueue> Queues)> made, List<(int Index, RdmaQueue Queue)> used, List<string> problems)
    {
        if (theirs.Index >= made.Count || theirs.Queues.Length != made[theirs.Index].Queues.Count)
        {
            throw FrameCodec.Violation($"the peer connected {theirs.Queues.Length} queue pairs of device {theirs.Index}, which were not offered");
        }

        var queues = made[theirs.Index].Queues;
        try
        {
            for (var i = 0; i < queues.Count; i++)
            {
                queues[i].Connect(theirs, theirs.Queues[i]);
            }
        }
        catch (NativeException failure)
        {
            problems.Add($"{made[theirs.Index].Device.Name} does not reach {new Gid(theirs.Gid.Span)}: {failure.Message}");
            return;
        }

        used.AddRange(queues.Select(queue => (theirs.Index, queue)));
    }
}
