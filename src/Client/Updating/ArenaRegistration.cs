using Microsoft.Extensions.Logging;
using P2PWeights.Client.Updating.Devices;
using P2PWeights.Native;
using P2PWeights.Store;

namespace P2PWeights.Client.Updating;

/// <summary>The arena, registered with GPUs at the first update, which takes a while, and from then on. Where it cannot be pinned, that is said once, and updates go through staging blocks, which are small.</summary>
internal sealed class ArenaRegistration(ShardStore store, ILogger log) : IDisposable
{
    private IDisposable? _registered;
    private bool _isTried;

    /// <summary>Registers the arena, unless that has been tried; whether devices can copy from it.</summary>
    /// <param name="devices">The same each time.</param>
    public bool TryRegister(IUpdateDevices devices)
    {
        if (!_isTried && store.Arena is not null)
        {
            _isTried = true;
            var arena = store.Regions[0];
            try
            {
                _registered = devices.Register(arena.Address, arena.Length);
                NodeLog.ArenaRegistered(log, arena.Length);
            }
            catch (NativeException failure)
            {
                NodeLog.ArenaNotRegistered(log, arena.Length, failure.Message);
            }
        }

        return _registered is not null;
    }

    public void Dispose() => _registered?.Dispose();
}
