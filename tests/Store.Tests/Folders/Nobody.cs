using System.Runtime.InteropServices;

namespace P2PWeights.Store.Tests.Folders;

/// <summary>Runs code without root's right to read everything, so that a file's mode counts also where tests run as root.</summary>
internal static partial class Nobody
{
    public static void Run(Action action)
    {
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            // Per thread (setfsuid(2)), and this thread ends with the action. Not being root for files takes CAP_DAC_OVERRIDE from it.
            _ = setfsuid(65534);
            failure = Record.Exception(action);
        });
        thread.Start();
        thread.Join();
        if (failure is not null)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        }
    }

    [LibraryImport("libc")]
    private static partial int setfsuid(uint user);
}
