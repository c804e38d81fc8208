using System.Threading.Channels;
using P2PWeights.Client.Updating.Devices;
using P2PWeights.Native.Posix;

namespace P2PWeights.Client.Updating.Pipeline;

/// <summary>
/// Host memory in which bytes from files, and small ones, are put together for a device: a fixed number of blocks, registered once per update and lent out one by one.
/// Disposed when every block is back, or its device is given up.
/// </summary>
internal sealed class StagingBlocks : IDisposable
{
    private readonly MemoryMapping _memory;
    private readonly IDisposable _registration;
    private readonly Channel<int> _free;

    /// <exception cref="Native.NativeException">The memory cannot be had, or not be registered.</exception>
    public unsafe StagingBlocks(IUpdateDevices devices, int blocks)
    {
        _memory = MemoryMapping.CreateAnonymous((long)blocks * CopyPlanner.BlockBytes);
        try
        {
            _registration = devices.Register((nint)_memory.Address, _memory.Length);
        }
        catch
        {
            _memory.Dispose();
            throw;
        }

        _free = Channel.CreateBounded<int>(blocks);
        for (var block = 0; block < blocks; block++)
        {
            _free.Writer.TryWrite(block);
        }
    }

    /// <summary>Bytes of all blocks.</summary>
    public long Bytes => _memory.Length;

    /// <summary>Waits for a free block.</summary>
    /// <exception cref="DeviceFailedException">None will come back any more.</exception>
    public async ValueTask<StagingBlock> TakeAsync(CancellationToken cancellationToken)
    {
        int block;
        try
        {
            block = await _free.Reader.ReadAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (ChannelClosedException)
        {
            throw new DeviceFailedException("the device keeps its staging blocks");
        }

        return new StagingBlock(this, block, _memory.GetMemory((long)block * CopyPlanner.BlockBytes, CopyPlanner.BlockBytes));
    }

    public unsafe nint AddressOf(StagingBlock block) => (nint)(_memory.Address + ((long)block.Index * CopyPlanner.BlockBytes));

    public void Return(StagingBlock block) => _free.Writer.TryWrite(block.Index);

    /// <summary>Ends the waits for blocks: their device keeps those that it has.</summary>
    public void Close() => _free.Writer.TryComplete();

    public void Dispose()
    {
        _registration.Dispose();
        _memory.Dispose();
    }
}

/// <summary>A block, lent out until it is returned.</summary>
internal readonly record struct StagingBlock(StagingBlocks Owner, int Index, Memory<byte> Memory)
{
    /// <summary>Where it starts, for devices.</summary>
    public nint Address => Owner.AddressOf(this);

    public void Return() => Owner.Return(this);
}
