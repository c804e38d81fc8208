using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;

namespace P2PWeights.Store.Reuse;

/// <summary>
/// Builds asynchronous methods whose state is used again by the next call, however many calls run at once: put <c>[AsyncMethodBuilder(typeof(ReusedValueTask&lt;&gt;))]</c> on a method that returns a
/// <see cref="ValueTask{TResult}"/>. The builder of the base library keeps one state per core and per thread, which is not enough for a node that has dozens of shards on their way on two cores.
/// As there, the task is awaited once. Other than there, the execution context does not follow the method past its first wait: it is for code that moves bytes and has no use for async locals.
/// </summary>
public struct ReusedValueTask<TResult>
{
    private Box? _box;
    private TResult? _result;
    private Exception? _failure;

    /// <summary>What the method returns.</summary>
    public readonly ValueTask<TResult> Task =>
        _box is { } box ? new ValueTask<TResult>(box, box.Version)
        : _failure is { } failure ? ValueTask.FromException<TResult>(failure)
        : new ValueTask<TResult>(_result!);

    [SuppressMessage("Design", "CA1000:Do not declare static members on generic types", Justification = "the compiler calls it")]
    public static ReusedValueTask<TResult> Create() => default;

    /// <summary>Runs the method to its first wait. The base library's builder sees to it that what the method does to the thread's contexts ends with that.</summary>
    public readonly void Start<TStateMachine>(ref TStateMachine stateMachine)
        where TStateMachine : IAsyncStateMachine => default(AsyncValueTaskMethodBuilder).Start(ref stateMachine);

    /// <summary>Only for builders that box what they are given; this one has its own place for it.</summary>
    public readonly void SetStateMachine(IAsyncStateMachine stateMachine) => ArgumentNullException.ThrowIfNull(stateMachine);

    public void SetResult(TResult result)
    {
        if (_box is { } box)
        {
            box.SetResult(result);
        }
        else
        {
            _result = result;
        }
    }

    public void SetException(Exception exception)
    {
        if (_box is { } box)
        {
            box.SetException(exception);
        }
        else
        {
            _failure = exception;
        }
    }

    public void AwaitOnCompleted<TAwaiter, TStateMachine>(ref TAwaiter awaiter, ref TStateMachine stateMachine)
        where TAwaiter : INotifyCompletion
        where TStateMachine : IAsyncStateMachine => awaiter.OnCompleted(Keep(ref stateMachine));

    public void AwaitUnsafeOnCompleted<TAwaiter, TStateMachine>(ref TAwaiter awaiter, ref TStateMachine stateMachine)
        where TAwaiter : ICriticalNotifyCompletion
        where TStateMachine : IAsyncStateMachine => awaiter.UnsafeOnCompleted(Keep(ref stateMachine));

    /// <summary>Moves the method's state from the stack to a box, at its first wait. Returns what continues it.</summary>
    private Action Keep<TStateMachine>(ref TStateMachine stateMachine)
        where TStateMachine : IAsyncStateMachine
    {
        if (_box is { } kept)
        {
            return kept.Continue;
        }

        // First the box, then the copy: this builder is part of the state, and its copy must know the box.
        var box = Box<TStateMachine>.Take();
        _box = box;
        box.StateMachine = stateMachine;
        return box.Continue;
    }

    /// <summary>The result of one call after the other.</summary>
    private abstract class Box : IValueTaskSource<TResult>
    {
        private ManualResetValueTaskSourceCore<TResult> _source;

        protected Box() => Continue = MoveNext;

        public Action Continue { get; }

        public short Version => _source.Version;

        public void SetResult(TResult result) => _source.SetResult(result);

        public void SetException(Exception exception) => _source.SetException(exception);

        public TResult GetResult(short token)
        {
            try
            {
                return _source.GetResult(token);
            }
            finally
            {
                // Who asks with a token of an earlier call gets its exception and gives nothing back.
                if (token == _source.Version)
                {
                    _source.Reset();
                    Return();
                }
            }
        }

        public ValueTaskSourceStatus GetStatus(short token) => _source.GetStatus(token);

        public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            _source.OnCompleted(continuation, state, token, flags);

        protected abstract void MoveNext();

        protected abstract void Return();
    }

    /// <summary>The state of one method, for one call after the other.</summary>
    private sealed class Box<TStateMachine> : Box
        where TStateMachine : IAsyncStateMachine
    {
        /// <summary>More than run at once in ordinary use.</summary>
        private const int MostSpare = 1024;

        private static readonly Lock Gate = new();
        private static readonly Stack<Box<TStateMachine>> Spare = new();

        public TStateMachine? StateMachine;

        public static Box<TStateMachine> Take()
        {
            lock (Gate)
            {
                return Spare.TryPop(out var spare) ? spare : new Box<TStateMachine>();
            }
        }

        protected override void MoveNext() => StateMachine!.MoveNext();

        protected override void Return()
        {
            StateMachine = default;
            lock (Gate)
            {
                if (Spare.Count < MostSpare)
                {
                    Spare.Push(this);
                }
            }
        }
    }
}
