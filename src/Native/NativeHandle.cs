using System.Runtime.InteropServices;

namespace P2PWeights.Native;

/// <summary>
/// One object of a native library. It holds its parents (a queue pair its domain, a stream its device), so that disposing in any order releases in the right one: a
/// parent that was disposed lives on until its last child is released. Whoever made an object disposes it. Thread-safe against disposal: an operation that began
/// finishes first, and one on an object that is released gets <see cref="ObjectDisposedException"/>.
/// </summary>
public abstract class NativeHandle : SafeHandle
{
    private readonly SafeHandle[] _parents;

    /// <param name="parents">What must outlive the object; held from here on, even before the native object is there.</param>
    private protected NativeHandle(params ReadOnlySpan<SafeHandle> parents)
        : base(0, ownsHandle: true)
    {
        _parents = parents.ToArray();
        for (var held = 0; held < _parents.Length; held++)
        {
            try
            {
                var added = false;
                _parents[held].DangerousAddRef(ref added);
            }
            catch (ObjectDisposedException)
            {
                ReleaseParents(held);
                SetHandleAsInvalid();
                throw;
            }
        }
    }

    /// <summary>
    /// A native object could not be released; it, and the parents that it holds, leak rather than be torn down under a device that may still use them.
    /// Raised on the thread that released, which may be the finalizer's: do not throw.
    /// </summary>
    public static event Action<NativeException>? ReleaseFailed;

    public sealed override bool IsInvalid => handle == 0;

    /// <summary>Takes over a native object just made; after a failure lets go of the parents and throws.</summary>
    private protected void Own(nint native, NativeException? failure)
    {
        if (failure is null)
        {
            SetHandle(native);
            return;
        }

        SetHandleAsInvalid();
        ReleaseParents(_parents.Length);
        throw failure;
    }

    /// <summary>The native object, kept from being released until the guard is disposed.</summary>
    /// <exception cref="ObjectDisposedException">It was disposed already.</exception>
    internal Hold Use() => new(this);

    protected sealed override bool ReleaseHandle()
    {
        if (TryRelease(handle) is { } failure)
        {
            ReleaseFailed?.Invoke(failure);
            return false;
        }

        ReleaseParents(_parents.Length);
        return true;
    }

    /// <summary>Releases the native object; returns why it could not be, or null.</summary>
    private protected abstract NativeException? TryRelease(nint native);

    private void ReleaseParents(int held)
    {
        for (var index = 0; index < held; index++)
            _parents[index].DangerousRelease();
    }

    /// <summary>See <see cref="Use"/>.</summary>
    internal readonly ref struct Hold : IDisposable
    {
        private readonly NativeHandle _held;

        public Hold(NativeHandle held)
        {
            var added = false;
            held.DangerousAddRef(ref added);
            _held = held;
        }

        public nint Pointer => _held.handle;

        public void Dispose() => _held.DangerousRelease();
    }
}
