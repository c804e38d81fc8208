using System.Net;
using P2PWeights.Native;
using P2PWeights.Transfer.Leasing;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>Listener's side of connecting queue pairs: picks a device of this node for each of the caller's, and connects as many queue pairs there as the caller made.</summary>
internal sealed class RdmaListener(RdmaHost host) : IQueueListener
{
    /// <summary>Binds of memory windows that may wait on one queue pair.</summary>
    private const int BindDepth = 64;

    public async ValueTask<(QueuesConnectedMessage Answer, ILeaseExporter Exporter)> ConnectAsync(ConnectQueuesMessage theirs, IPAddress caller, CancellationToken cancellationToken)
    {
        var devices = await host.GetDevicesAsync(cancellationToken).ConfigureAwait(false);
        var pairs = PortPairing.Pair([.. theirs.Devices.Select(device => new PortAddress(device.Link, device.Gid))], [.. devices.Select(device => device.Address)]);
        var links = new List<RdmaExporter.Link>();
        var answers = new List<QueueDevice>();
        var problems = new List<string>();
        foreach (var (pair, listener) in pairs)
        {
            var (their, mine) = (theirs.Devices[pair], devices[listener]);
            IReadOnlyList<RdmaQueue> queues = [];
            try
            {
                queues = await RdmaHost.MakeQueuesAsync(mine, their.Queues.Length, BindDepth, caller).ConfigureAwait(false);
                for (var i = 0; i < queues.Count; i++)
                {
                    queues[i].Connect(their, their.Queues[i]);
                }

                answers.Add(RdmaHost.Describe(their.Index, mine, queues));
                links.Add(new RdmaExporter.Link(their.Index, mine, queues));
            }
            catch (Exception failure)
            {
                await RdmaHost.DisposeAsync(queues).ConfigureAwait(false);
                if (failure is not NativeException)
                {
                    await RdmaHost.DisposeAsync(links.SelectMany(link => link.Queues)).ConfigureAwait(false);
                    throw;
                }

                problems.Add(failure.Message);
            }
        }

        if (links.Count == 0)
        {
            throw RdmaHost.Unavailable(problems.Count > 0 ? string.Join("; ", problems) : "no device here is on the same kind of network as one of the caller's");
        }

        problems.ForEach(problem => host.Log.RdmaPartLost(caller.ToString(), FailureReasons.Unreachable, problem));
        return (new QueuesConnectedMessage([.. answers]), new RdmaExporter(links));
    }
}
