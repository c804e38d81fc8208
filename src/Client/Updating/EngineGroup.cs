using P2PWeights.Client.Engines;
using P2PWeights.Native.Cuda;

namespace P2PWeights.Client.Updating;

/// <summary>The engines of one update, connected by their URLs; disposed together.</summary>
internal sealed class EngineGroup : IAsyncDisposable
{
    private readonly List<IEngine> _engines = [];

    public IReadOnlyList<IEngine> Engines => _engines;

    /// <summary>Connects all, or none.</summary>
    /// <param name="farewells">Tells ranks after the update that could not be told at its end.</param>
    /// <exception cref="NodeException">A URL is not one of an engine, names GPUs that are not here, or stands for the same engine as another; or an engine cannot be reached.</exception>
    public static async Task<EngineGroup> ConnectAsync(IReadOnlyList<string> urls, Farewells farewells, CancellationToken cancellationToken)
    {
        EngineAddress[] addresses = [.. urls.Select(EngineAddress.Parse)];
        RefuseTwice(addresses);
        var group = new EngineGroup();
        try
        {
            // All at once: each may take its time to answer.
            var connecting = addresses
                .Select(address => Engine.ConnectAsync(address, CudaLibrary.IsAvailable ? [.. CudaDevice.Uuids] : [], new EngineOptions(), cancellationToken, farewells)).ToList();
            await ((Task)Task.WhenAll(connecting)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            group._engines.AddRange(connecting.Where(one => one.IsCompletedSuccessfully).Select(one => one.Result));
            await Task.WhenAll(connecting).ConfigureAwait(false);
            return group;
        }
        catch (Exception failure)
        {
            await group.DisposeAsync().ConfigureAwait(false);
            if (failure is EngineException engine)
            {
                throw new NodeException(engine.Error == EngineError.Deadline ? NodeError.Deadline : NodeError.Failed, engine.Message, engine);
            }

            throw;
        }
    }

    /// <summary>An engine takes one update at a time, whose one request names all of its ranks: asked twice at once, its two updates would wait for each other.</summary>
    private static void RefuseTwice(EngineAddress[] addresses)
    {
        foreach (var same in addresses.GroupBy(address => (address.Base, address.Socket)).Where(same => same.Count() > 1))
        {
            throw new NodeException(
                NodeError.Usage, $"{string.Join(" and ", same.Select(address => $"'{address.Url}'"))} are one engine: name it once, with all of its GPUs behind ?gpus= when it does not use every GPU of the host. Nothing was done.");
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var engine in _engines)
        {
            await engine.DisposeAsync().ConfigureAwait(false);
        }
    }
}
