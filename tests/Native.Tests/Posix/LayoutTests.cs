using System.Globalization;
using System.Runtime.InteropServices;
using P2PWeights.Native.Posix;
using P2PWeights.Testing;

namespace P2PWeights.Native.Tests.Posix;

public sealed class LayoutTests
{
    [CCompilerFact]
    public async Task Structs_and_constants_are_those_of_the_C_headers()
    {
        using var folder = new TempFolder();
        var (compiled, _) = await Shell.RunAsync("/usr/bin/cc", "-O0", "-o", folder["probe"], Path.Combine(AppContext.BaseDirectory, "native-probe.c"));
        Assert.Equal(0, compiled);
        var (_, output) = await Shell.RunAsync(folder["probe"]);
        var expected = output.Split('\n').Select(line => line.Split(' ')).ToDictionary(parts => parts[0], parts => long.Parse(parts[1], CultureInfo.InvariantCulture));

        Assert.Equal(expected.OrderBy(entry => entry.Key, StringComparer.Ordinal), Stated().OrderBy(entry => entry.Key, StringComparer.Ordinal));
    }

    private static Dictionary<string, long> Stated() => new()
    {
        ["statx"] = Marshal.SizeOf<Statx>(),
        ["statx.stx_uid"] = Marshal.OffsetOf<Statx>(nameof(Statx.Owner)),
        ["statx.stx_mode"] = Marshal.OffsetOf<Statx>(nameof(Statx.Mode)),
        ["statx.stx_ino"] = Marshal.OffsetOf<Statx>(nameof(Statx.Inode)),
        ["statx.stx_size"] = Marshal.OffsetOf<Statx>(nameof(Statx.Size)),
        ["statx.stx_blocks"] = Marshal.OffsetOf<Statx>(nameof(Statx.Blocks)),
        ["statx.stx_mtime.tv_sec"] = Marshal.OffsetOf<Statx>(nameof(Statx.ModifiedSeconds)),
        ["statx.stx_mtime.tv_nsec"] = Marshal.OffsetOf<Statx>(nameof(Statx.ModifiedNanoseconds)),
        ["statx.stx_dev_major"] = Marshal.OffsetOf<Statx>(nameof(Statx.DeviceMajor)),
        ["statx.stx_dev_minor"] = Marshal.OffsetOf<Statx>(nameof(Statx.DeviceMinor)),
        ["STATX_BASIC_STATS"] = Statx.BasicStats,
        ["sizeof(off_t)"] = sizeof(long),
        ["file_clone_range"] = Marshal.SizeOf<FileCloneRange>(),
        ["file_clone_range.src_fd"] = Marshal.OffsetOf<FileCloneRange>(nameof(FileCloneRange.Source)),
        ["file_clone_range.src_offset"] = Marshal.OffsetOf<FileCloneRange>(nameof(FileCloneRange.SourceOffset)),
        ["file_clone_range.src_length"] = Marshal.OffsetOf<FileCloneRange>(nameof(FileCloneRange.Length)),
        ["file_clone_range.dest_offset"] = Marshal.OffsetOf<FileCloneRange>(nameof(FileCloneRange.DestinationOffset)),
        ["FICLONERANGE"] = (long)Libc.FICLONERANGE,
        ["O_RDONLY"] = Libc.O_RDONLY,
        ["O_RDWR"] = Libc.O_RDWR,
        ["O_CREAT"] = Libc.O_CREAT,
        ["O_EXCL"] = Libc.O_EXCL,
        ["O_NONBLOCK"] = Libc.O_NONBLOCK,
        ["O_CLOEXEC"] = Libc.O_CLOEXEC,
        ["O_PATH"] = Libc.O_PATH,
        ["O_DIRECTORY"] = Libc.O_DIRECTORY,
        ["O_NOFOLLOW"] = Libc.O_NOFOLLOW,
        ["AT_FDCWD"] = Libc.AT_FDCWD,
        ["AT_SYMLINK_NOFOLLOW"] = Libc.AT_SYMLINK_NOFOLLOW,
        ["AT_SYMLINK_FOLLOW"] = Libc.AT_SYMLINK_FOLLOW,
        ["AT_EMPTY_PATH"] = Libc.AT_EMPTY_PATH,
        ["RENAME_NOREPLACE"] = Libc.RENAME_NOREPLACE,
        ["LOCK_EX"] = Libc.LOCK_EX,
        ["LOCK_NB"] = Libc.LOCK_NB,
        ["SEEK_DATA"] = Libc.SEEK_DATA,
        ["PROT_READ"] = Libc.PROT_READ,
        ["PROT_WRITE"] = Libc.PROT_WRITE,
        ["MAP_SHARED"] = Libc.MAP_SHARED,
        ["MAP_PRIVATE"] = Libc.MAP_PRIVATE,
        ["MAP_ANONYMOUS"] = Libc.MAP_ANONYMOUS,
        ["MADV_POPULATE_READ"] = Libc.MADV_POPULATE_READ,
        ["MADV_POPULATE_WRITE"] = Libc.MADV_POPULATE_WRITE,
        ["pollfd"] = Marshal.SizeOf<Libc.PollDescriptor>(),
        ["pollfd.events"] = Marshal.OffsetOf<Libc.PollDescriptor>(nameof(Libc.PollDescriptor.events)),
        ["pollfd.revents"] = Marshal.OffsetOf<Libc.PollDescriptor>(nameof(Libc.PollDescriptor.revents)),
        ["POLLIN"] = Libc.POLLIN,
        ["EFD_CLOEXEC"] = Libc.EFD_CLOEXEC,
        ["EFD_NONBLOCK"] = Libc.EFD_NONBLOCK,
        ["F_GETFL"] = Libc.F_GETFL,
        ["F_SETFL"] = Libc.F_SETFL,
        ["SIGINT"] = (int)PosixSignalNumber.Interrupt,
        ["SIGKILL"] = (int)PosixSignalNumber.Kill,
        ["SIGTERM"] = (int)PosixSignalNumber.Terminate,
        ["EPERM"] = Errno.NotPermitted,
        ["ENOENT"] = Errno.NotFound,
        ["ESRCH"] = Errno.NoSuchProcess,
        ["EINTR"] = Errno.Interrupted,
        ["EIO"] = Errno.InputOutput,
        ["ENXIO"] = Errno.NoDataThere,
        ["EAGAIN"] = Errno.WouldBlock,
        ["EACCES"] = Errno.AccessDenied,
        ["EEXIST"] = Errno.Exists,
        ["EXDEV"] = Errno.OtherFileSystem,
        ["ENODEV"] = Errno.NoSuchDevice,
        ["ENOTDIR"] = Errno.NotAFolder,
        ["EISDIR"] = Errno.IsAFolder,
        ["EINVAL"] = Errno.Invalid,
        ["ENOSPC"] = Errno.NoSpace,
        ["EROFS"] = Errno.ReadOnlyFileSystem,
        ["EMLINK"] = Errno.TooManyLinks,
        ["ENOSYS"] = Errno.NotImplemented,
        ["ELOOP"] = Errno.SymlinkLoop,
        ["EOPNOTSUPP"] = Errno.NotSupported,
        ["EDQUOT"] = Errno.QuotaExceeded,
    };
}
