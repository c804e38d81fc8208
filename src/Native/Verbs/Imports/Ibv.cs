using System.Runtime.InteropServices;

namespace P2PWeights.Native.Verbs.Imports;

/// <summary>
/// Imports from libibverbs, under their C names (<c>infiniband/verbs.h</c> of rdma-core). Nothing here may be called before
/// <see cref="VerbsLibrary.IsAvailable"/> said that the library is there: each import is bound at its first call. The verbs that the header defines
/// inline (post, poll, notify, memory windows) are called through the function pointers in <see cref="ibv_context_ops"/>.
/// </summary>
internal static unsafe partial class Ibv
{
    /// <summary>The soname; 1 since 2006, with symbol versions for everything that changed since.</summary>
    public const string Library = "libibverbs.so.1";

    [LibraryImport(Library, SetLastError = true)]
    public static partial ibv_device** ibv_get_device_list(int* count);

    [LibraryImport(Library)]
    public static partial void ibv_free_device_list(ibv_device** list);

    [LibraryImport(Library, SetLastError = true)]
    public static partial ibv_context* ibv_open_device(ibv_device* device);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int ibv_close_device(nint context);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int ibv_query_device(ibv_context* context, ibv_device_attr* attributes);

    /// <summary>The exported function is the old one: it fills everything up to <c>link_layer</c> and leaves the rest as it was.</summary>
    [LibraryImport(Library, SetLastError = true)]
    public static partial int ibv_query_port(ibv_context* context, byte port, ibv_port_attr* attributes);

    /// <summary>What <c>ibv_query_gid_table</c> calls: the entries that are in use, of all ports. Since rdma-core 32.</summary>
    /// <returns>Entries written, or a negative errno.</returns>
    [LibraryImport(Library)]
    public static partial nint _ibv_query_gid_table(ibv_context* context, ibv_gid_entry* entries, nuint maxEntries, uint flags, nuint entrySize);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int ibv_get_async_event(ibv_context* context, ibv_async_event* result);

    [LibraryImport(Library)]
    public static partial void ibv_ack_async_event(ibv_async_event* acknowledged);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint ibv_alloc_pd(ibv_context* context);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int ibv_dealloc_pd(nint domain);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint ibv_reg_mr(nint domain, nint address, nuint length, int access);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint ibv_reg_mr_iova2(nint domain, nint address, nuint length, ulong remoteAddress, uint access);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int ibv_dereg_mr(nint region);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint ibv_create_comp_channel(ibv_context* context);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int ibv_destroy_comp_channel(nint channel);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint ibv_create_cq(ibv_context* context, int entries, nint userContext, nint channel, int vector);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int ibv_destroy_cq(nint queue);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int ibv_get_cq_event(nint channel, nint* queue, nint* userContext);

    [LibraryImport(Library)]
    public static partial void ibv_ack_cq_events(nint queue, uint count);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint ibv_create_qp(nint domain, ibv_qp_init_attr* attributes);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int ibv_modify_qp(nint pair, ibv_qp_attr* attributes, int mask);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int ibv_destroy_qp(nint pair);

    /// <summary>A text that lives as long as the library.</summary>
    [LibraryImport(Library)]
    public static partial byte* ibv_wc_status_str(int status);

    /// <summary>The exception for a call that returned something else than 0: most return the errno, some -1 and set it.</summary>
    public static NativeException Error(string function, int returned, string? subject = null) =>
        Failed(function, returned > 0 ? returned : Marshal.GetLastPInvokeError(), subject);

    /// <summary>The exception for a call that returned NULL and set errno, just now on this thread.</summary>
    public static NativeException LastError(string function, string? subject = null) =>
        Failed(function, Marshal.GetLastPInvokeError(), subject);

    private static NativeException Failed(string function, int code, string? subject) =>
        new("libibverbs", function, code, Marshal.GetPInvokeErrorMessage(code), subject);
}
