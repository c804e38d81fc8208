using System.Runtime.InteropServices;

namespace P2PWeights.Native.Nccl.Imports;

/// <summary>
/// Imports from NCCL (<c>nccl.h</c>), under their C names. Nothing here may be called before <see cref="NcclLibrary.IsAvailable"/> said that the library is there.
/// Every function returns an <c>ncclResult_t</c>, 0 for success.
/// </summary>
internal static unsafe partial class NcclImports
{
    /// <summary>2 since 2017.</summary>
    public const string Library = "libnccl.so.2";

    // ncclResult_t: ncclSuccess, ncclInvalidUsage, ncclInProgress
    public const int Success = 0;
    public const int InvalidUsage = 5;
    public const int InProgress = 7;

    // ncclDataType_t: ncclUint8
    public const int Uint8 = 1;

    [LibraryImport(Library)]
    public static partial int ncclGetVersion(int* version);

    /// <summary>A text that lives as long as the library.</summary>
    [LibraryImport(Library)]
    public static partial byte* ncclGetErrorString(int result);

    /// <summary>What went wrong last, in words, on any communicator when it is 0. A text that the next failure overwrites.</summary>
    [LibraryImport(Library)]
    public static partial byte* ncclGetLastError(nint communicator);

    [LibraryImport(Library)]
    public static partial int ncclCommInitAll(nint* communicators, int count, int* devices);

    [LibraryImport(Library)]
    public static partial int ncclCommGetAsyncError(nint communicator, int* result);

    [LibraryImport(Library)]
    public static partial int ncclCommDestroy(nint communicator);

    [LibraryImport(Library)]
    public static partial int ncclCommAbort(nint communicator);

    [LibraryImport(Library)]
    public static partial int ncclGroupStart();

    [LibraryImport(Library)]
    public static partial int ncclGroupEnd();

    [LibraryImport(Library)]
    public static partial int ncclAllGather(nint send, nint receive, nuint sendCount, int type, nint communicator, nint stream);

    /// <exception cref="NativeException">The call failed.</exception>
    public static void Check(int returned, string function)
    {
        if (returned != Success)
            throw Error(function, returned);
    }

    public static NativeException Error(string function, int returned)
    {
        var text = Marshal.PtrToStringUTF8((nint)ncclGetErrorString(returned));
        var detail = Marshal.PtrToStringUTF8((nint)ncclGetLastError(0));
        return new("NCCL", function, returned, string.IsNullOrWhiteSpace(detail) ? text ?? "" : $"{text}: {detail.Trim()}");
    }
}
