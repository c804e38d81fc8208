using System.Net;
using System.Security.Cryptography;
using P2PWeights.Native;
using P2PWeights.Native.Verbs;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>
/// A queue pair of this node with the work posted on it. The caller's side posts reads, the listener's side binds memory windows. Posting is thread-safe; what was
/// posted ends on the device's thread. Disposing breaks it, waits for what is posted, and destroys it: after that the device touches no memory for it.
/// </summary>
internal sealed class RdmaQueue : IReadQueue
{
    private const uint Mask24 = (1 << 24) - 1;

    /// <summary>For flushed work to come back, before the queue pair is destroyed all the same.</summary>
    private static readonly TimeSpan FlushTime = TimeSpan.FromSeconds(2);

    /// <summary>For a bind to complete; microseconds on hardware.</summary>
    private static readonly TimeSpan BindTime = TimeSpan.FromSeconds(5);

    private static readonly PostOutcome Destroyed = new(0, -1);

    private readonly RdmaDevice _device;
    private readonly QueuePair _pair;
    private readonly IPAddress? _reader;
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _posted = 1; // one for the queue itself, until it is broken
    private int _broken;
    private int _disposed;

    private RdmaQueue(RdmaDevice device, QueuePair pair, int depth, IPAddress? reader)
    {
        (_device, _pair, Depth, _reader) = (device, pair, depth, reader);
        Sequence = (uint)RandomNumberGenerator.GetInt32((int)Mask24 + 1);
        Name = $"{device.Name} queue {pair.Number}";
    }

    public string Name { get; private set; }

    public int Cost => _device.Cost;

    public int Depth { get; }

    /// <summary>What the other side needs to connect to it.</summary>
    public QueueEnd Address => new(_pair.Number, Sequence);

    public PathFailure? Failure => _device.Failure ?? (Volatile.Read(ref _broken) != 0 ? Closed() : null);

    private uint Sequence { get; }

    /// <summary>Makes a queue pair, not connected yet.</summary>
    /// <param name="depth">Work that may be posted at once.</param>
    /// <param name="reader">Address of the peer that may read through it; null when this node reads.</param>
    /// <exception cref="NativeException">The device has no room for another.</exception>
    public static RdmaQueue Create(RdmaDevice device, int depth, IPAddress? reader)
    {
        device.Reserve(depth, reader);
        try
        {
            var pair = QueuePair.Create(device.Domain, device.Completions, new QueuePairSettings { Port = device.Port, Depth = depth, RemoteRead = reader is not null });
            var queue = new RdmaQueue(device, pair, depth, reader);
            device.Add(queue);
            return queue;
        }
        catch (NativeException)
        {
            device.Unreserve(depth, reader);
            throw;
        }
    }

    /// <summary>Connects it to the other side's.</summary>
    /// <param name="theirs">The other side's device.</param>
    /// <param name="end">The queue pair there.</param>
    /// <exception cref="NativeException">The peer's address has no route from here, or the device refuses.</exception>
    public void Connect(QueueDevice theirs, QueueEnd end)
    {
        Name = $"{_device.Name} queue {_pair.Number} to {new Gid(theirs.Gid.Span)}";
        _pair.Connect(new QueuePairConnection
        {
            RemoteNumber = end.Number,
            RemoteSequence = end.Psn,
            LocalSequence = Sequence,
            RemoteGid = new Gid(theirs.Gid.Span),
            RemoteLid = (ushort)theirs.Lid,
            GidIndex = _device.GidIndex,
            Mtu = RdmaDevice.MtuOf(Math.Min(theirs.MtuBytes, _device.MtuBytes)),
            ReadsOut = Math.Min(_device.MaxReadsOut, theirs.MaxReadsIn),
            ReadsIn = Math.Min(_device.MaxReadsIn, theirs.MaxReadsOut),
            TrafficClass = _device.TrafficClass,

            // With the default time between them about 2 s by the book, and more where devices round up. Not 7: soft-RoCE takes that as "for ever".
            Retries = 6,
        });
    }

    /// <summary>Whether the device can write to this memory.</summary>
    public bool Covers(nint address, int bytes) => _device.FindRegion(address, bytes) is not null;

    public PathFailure? Post(in QueueRead read, IWorkOwner owner)
    {
        if (_device.FindRegion(read.Local, read.Length) is not { } region)
        {
            return new PathFailure(FailureReasons.Failed, $"{Name}: the buffer lies outside the registered memory");
        }

        if (Begin(owner, out var id) is { } closed)
        {
            return closed;
        }

        try
        {
            return Posted(id, _pair.PostReads([new ReadRequest(id, read.Local, region.LocalKey, read.Remote, read.Key, (uint)read.Length, Signalled: true)]));
        }
        catch (ObjectDisposedException)
        {
            return Posted(id, Destroyed);
        }
    }

    /// <summary>
    /// Binds a window to a range of a region, or to nothing when <paramref name="bytes"/> is 0. A bind that does not complete costs the queue pair: whoever ends a lease, or stops
    /// the node, must not wait for a device that is lost.
    /// </summary>
    /// <returns>Null when the window is bound, else why not.</returns>
    public async ValueTask<PathFailure?> BindAsync(MemoryWindow window, MemoryRegion region, nint address, int bytes)
    {
        var work = new AwaitedWork();
        if (PostBind(work, window, region, address, bytes) is { } refused)
        {
            return refused;
        }

        try
        {
            return (await work.Ended.WaitAsync(BindTime).ConfigureAwait(false)).Failure;
        }
        catch (TimeoutException)
        {
            await DisposeAsync().ConfigureAwait(false);
            return (await work.Ended.ConfigureAwait(false)).Failure;
        }
    }

    public void Break()
    {
        if (Interlocked.Exchange(ref _broken, 1) != 0)
        {
            return;
        }

        try
        {
            _pair.Fail();
        }
        catch (NativeException failure)
        {
            _device.Fail($"{_device.Name} is lost: {failure.Message}");
        }
        catch (ObjectDisposedException)
        {
            // Destroyed: there is nothing left to break.
        }

        Leave();
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            await _drained.Task.ConfigureAwait(false);
            return;
        }

        Break();
        try
        {
            await _drained.Task.WaitAsync(FlushTime).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // A device that does not flush. Destroying the queue pair below is what stops it.
        }

        _pair.Dispose();
        foreach (var owner in _device.Work.TakeAll(this))
        {
            End(owner, WorkStatus.Flushed);
        }

        _device.Remove(this);
        _device.Unreserve(Depth, _reader);
    }

    /// <summary>A piece of work has completed; on the device's thread.</summary>
    public void End(IWorkOwner owner, WorkStatus status)
    {
        owner.Ended(status switch
        {
            WorkStatus.Success => new WorkEnd(WorkFault.None),
            WorkStatus.RemoteAccessError => new WorkEnd(WorkFault.KeyRefused, new PathFailure(FailureReasons.LeaseExpired, $"{Name}: {WorkCompletion.Text(status)}: the peer has taken the key back")),
            _ => new WorkEnd(WorkFault.Queue, (status == WorkStatus.Flushed ? _device.Failure : _device.FindFailure()) ?? new PathFailure(FailureReasons.LaneLost, $"{Name}: {WorkCompletion.Text(status)}")),
        });
        Leave();
    }

    private PathFailure? PostBind(IWorkOwner owner, MemoryWindow window, MemoryRegion region, nint address, int bytes)
    {
        if (Begin(owner, out var id) is { } closed)
        {
            return closed;
        }

        try
        {
            return Posted(id, _pair.PostBind(id, window, region, (ulong)address, (ulong)bytes));
        }
        catch (ObjectDisposedException)
        {
            return Posted(id, Destroyed);
        }
    }

    /// <summary>Enters work that is about to be posted, under a number.</summary>
    private PathFailure? Begin(IWorkOwner owner, out ulong id)
    {
        id = 0;
        if (Failure is { } failure)
        {
            return failure;
        }

        if (!TryEnter())
        {
            return Closed();
        }

        id = _device.Work.Add(this, owner);
        return null;
    }

    /// <summary>Takes the work out again when the device did not take it.</summary>
    private PathFailure? Posted(ulong id, PostOutcome outcome)
    {
        if (outcome.IsComplete)
        {
            return null;
        }

        if (_device.Work.TryTake(id, out _, out _))
        {
            Leave();
        }

        return _device.Failure ?? new PathFailure(FailureReasons.LaneLost, $"{Name}: the device takes no more work (errno {outcome.Error})");
    }

    private PathFailure Closed() => new(FailureReasons.LaneLost, $"{Name}: the queue pair is closed");

    private bool TryEnter()
    {
        while (true)
        {
            var posted = Volatile.Read(ref _posted);
            if (posted == 0)
            {
                return false;
            }

            if (Interlocked.CompareExchange(ref _posted, posted + 1, posted) == posted)
            {
                return true;
            }
        }
    }

    private void Leave()
    {
        if (Interlocked.Decrement(ref _posted) == 0)
        {
            _drained.TrySetResult();
        }
    }

    /// <summary>Work that somebody awaits.</summary>
    private sealed class AwaitedWork : IWorkOwner
    {
        private readonly TaskCompletionSource<WorkEnd> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<WorkEnd> Ended => _ended.Task;

        void IWorkOwner.Ended(in WorkEnd end) => _ended.SetResult(end);
    }
}
