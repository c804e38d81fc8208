using System.Runtime.CompilerServices;

namespace P2PWeights.Testing;

/// <summary>
/// Some tests stop a fetch, or a call of a driver, by blocking the thread that it runs on. On a machine with few processors a handful of them would be all threads that the pool has, and tests
/// beside them would miss their deadlines. Compiled into every test project.
/// </summary>
internal static class BlockedThreads
{
    private const int Threads = 64;

    [ModuleInitializer]
    internal static void Allow() => ThreadPool.SetMinThreads(Threads, Threads);
}
