using System.Runtime.InteropServices;
using P2PWeights.Native.Verbs.Imports;

namespace P2PWeights.Native.Verbs;

/// <summary>One object of libibverbs, with that library's way of saying what failed: a queue pair holds its domain and completion queue, those their device.</summary>
public abstract class VerbsHandle : NativeHandle
{
    /// <param name="parents">What must outlive the object.</param>
    private protected VerbsHandle(params ReadOnlySpan<SafeHandle> parents)
        : base(parents)
    {
    }

    /// <summary>Takes over a native object just made; for NULL lets go of the parents and throws the exception for the call that failed.</summary>
    private protected void Own(nint native, string function, string? subject = null) =>
        Own(native, native != 0 ? null : Ibv.LastError(function, subject));

    private protected sealed override NativeException? TryRelease(nint native)
    {
        var returned = Release(native, out var function);
        return returned == 0 ? null : Ibv.Error(function, returned);
    }

    /// <summary>Releases the native object and says with which function.</summary>
    /// <returns>0, or what the function returned.</returns>
    private protected abstract int Release(nint native, out string function);
}
