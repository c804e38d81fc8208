using System.Diagnostics;

namespace P2PWeights.Testing.Faults;

/// <summary>One direction of a <see cref="FaultProxy"/>, over all its connections. Thread-safe.</summary>
public sealed class FaultDirection
{
    private readonly Lock _gate = new();
    private State _state = new(FaultLine.Clear);
    private long _freeAt = Stopwatch.GetTimestamp();
    private long _bytes;
    private int _hits;

    internal FaultDirection()
    {
    }

    /// <summary>How bytes are treated from now on.</summary>
    public FaultLine Line
    {
        get => Current.Line;
        set
        {
            State before;
            lock (_gate)
            {
                before = _state;
                _state = new State(value);
            }

            before.Replaced.TrySetResult();
        }
    }

    /// <summary>Bytes that were passed on.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Faults that happened: connections on which <see cref="FaultLine.Fault"/> was reached.</summary>
    public int Hits => Volatile.Read(ref _hits);

    internal State Current
    {
        get
        {
            lock (_gate)
            {
                return _state;
            }
        }
    }

    internal void Passed(int bytes) => Interlocked.Add(ref _bytes, bytes);

    internal void Hit() => Interlocked.Increment(ref _hits);

    /// <summary>Takes the line for so many bytes, behind what others have taken; returns how long the caller has to wait for its turn.</summary>
    internal TimeSpan Take(int bytes, long bytesPerSecond)
    {
        lock (_gate)
        {
            var now = Stopwatch.GetTimestamp();
            _freeAt = Math.Max(now, _freeAt) + (long)((double)bytes / bytesPerSecond * Stopwatch.Frequency);
            return Stopwatch.GetElapsedTime(now, _freeAt);
        }
    }

    /// <summary>A line and the end of its time.</summary>
    internal sealed class State(FaultLine line)
    {
        public FaultLine Line => line;

        /// <summary>Ends when another line is set.</summary>
        public TaskCompletionSource Replaced { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
