using System.Diagnostics;
using System.Globalization;
using P2PWeights.Native.Posix;
using P2PWeights.Testing;

namespace P2PWeights.Native.Tests.Posix;

public sealed class PosixFileTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("plain")]
    [InlineData("with spaces, ünïcödé and 模型")]
    public async Task Stat_of_a_file_equals_what_coreutils_stat_prints(string name)
    {
        File.WriteAllBytes(_folder[name], new byte[12345]);
        using var file = File.OpenHandle(_folder[name]);
        var stat = PosixFile.Stat(file);

        var (_, printed, _) = await Shell.RunAsync("/usr/bin/stat", "-c", "%d %i %s %b %B %.9Y", _folder[name]);
        var seconds = decimal.Parse(printed.Split(' ')[5], CultureInfo.InvariantCulture);
        Assert.Equal(
            $"{printed[..printed.LastIndexOf(' ')]} {(long)(seconds * 1_000_000_000)}",
            $"{stat.Device} {stat.Inode} {stat.Size} {stat.AllocatedBytes / 512} 512 {stat.ModifiedNs}");
        Assert.Equal(stat, PosixFile.TryStat(_folder[name], followSymlinks: false));
    }

    [Fact]
    public void Stat_tells_what_a_name_stands_for()
    {
        File.WriteAllText(_folder["file"], "x");
        File.CreateSymbolicLink(_folder["link"], "file");
        File.CreateSymbolicLink(_folder["loop"], "loop");
        Directory.CreateDirectory(_folder["folder"]);

        Assert.Equal(FileKind.Regular, PosixFile.TryStat(_folder["file"], followSymlinks: false)?.Kind);
        Assert.Equal(FileKind.Symlink, PosixFile.TryStat(_folder["link"], followSymlinks: false)?.Kind);
        Assert.Equal(FileKind.Regular, PosixFile.TryStat(_folder["link"], followSymlinks: true)?.Kind);
        Assert.Equal(FileKind.Folder, PosixFile.TryStat(_folder["folder"], followSymlinks: false)?.Kind);
        Assert.Equal(FileKind.Special, PosixFile.TryStat("/dev/null", followSymlinks: false)?.Kind);
        Assert.Null(PosixFile.TryStat(_folder["nothing"], followSymlinks: true));
        Assert.Null(PosixFile.TryStat(_folder["file/below"], followSymlinks: true));
        Assert.Equal(Errno.SymlinkLoop, Assert.Throws<NativeException>(() => PosixFile.TryStat(_folder["loop"], followSymlinks: true)).Code);
    }

    [Fact]
    public void Allocate_reserves_blocks_and_keeps_what_was_there()
    {
        using var file = File.OpenHandle(_folder["file"], FileMode.Create, FileAccess.ReadWrite);
        RandomAccess.Write(file, "kept"u8, 0);
        var reserved = PosixFile.Allocate(file, 0, 1 << 20);

        Assert.Equal(1 << 20, RandomAccess.GetLength(file));
        Assert.True(!reserved || PosixFile.Stat(file).AllocatedBytes >= 1 << 20);
        var start = new byte[6];
        RandomAccess.Read(file, start, 0);
        Assert.Equal("kept\0\0"u8.ToArray(), start);
    }

    [Fact]
    public void Allocate_of_more_than_the_disk_has_says_that_it_is_full()
    {
        // tmpfs refuses at once what is larger than all of it. Other file systems allocate until they are full, and everybody else on them finds them so meanwhile.
        using var file = File.OpenHandle($"/dev/shm/p2pw-test-{Guid.NewGuid():N}", FileMode.CreateNew, FileAccess.ReadWrite, options: FileOptions.DeleteOnClose);
        var error = Assert.Throws<NativeException>(() => PosixFile.Allocate(file, 0, 1L << 60));

        Assert.True(Errno.IsDiskFull(error), error.Message);
        Assert.StartsWith("libc fallocate: ", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SeekData_skips_holes()
    {
        const int Data = 4 << 20;
        using var file = File.OpenHandle(_folder["file"], FileMode.Create, FileAccess.ReadWrite);
        RandomAccess.Write(file, new byte[] { 1 }, Data);
        RandomAccess.SetLength(file, 2 * Data);

        Assert.Equal(Data, PosixFile.SeekData(file, 0));
        Assert.Equal(Data, PosixFile.SeekData(file, Data));
        Assert.Null(PosixFile.SeekData(file, Data + (1 << 20)));
        Assert.Null(PosixFile.SeekData(file, 3 * Data));
    }

    [Fact]
    public async Task Lock_is_exclusive_across_processes_and_ends_with_its_handle()
    {
        using (PosixFile.TryLockExclusive(_folder["lock"]))
        {
            Assert.Null(PosixFile.TryLockExclusive(_folder["lock"]));
            Assert.Equal(1, (await Shell.RunAsync("/usr/bin/flock", "-n", _folder["lock"], "true")).ExitCode);
        }

        Assert.Equal(0, (await Shell.RunAsync("/usr/bin/flock", "-w", "10", _folder["lock"], "true")).ExitCode);
        using var again = PosixFile.TryLockExclusive(_folder["lock"], TimeSpan.FromSeconds(10));
        Assert.NotNull(again);
    }

    [Fact]
    public void Lock_is_not_inherited_by_a_child()
    {
        Process child;
        using (PosixFile.TryLockExclusive(_folder["lock"]))
        {
            child = Process.Start("/usr/bin/sleep", "60");
        }

        using (child)
        {
            using var again = PosixFile.TryLockExclusive(_folder["lock"], TimeSpan.FromSeconds(10));
            child.Kill();
            child.WaitForExit();
            Assert.NotNull(again);
        }
    }

    [Fact]
    public async Task OpenRead_opens_regular_files_only_and_never_blocks()
    {
        File.WriteAllText(_folder["file"], "x");
        File.CreateSymbolicLink(_folder["link"], "file");
        await Shell.RunAsync("/usr/bin/mkfifo", _folder["fifo"]);

        PosixFile.OpenRead(_folder["file"], followSymlinks: false).Dispose();
        PosixFile.OpenRead(_folder["link"], followSymlinks: true).Dispose();
        Assert.Equal(Errno.SymlinkLoop, Code(() => PosixFile.OpenRead(_folder["link"], followSymlinks: false)));
        Assert.Equal(Errno.Invalid, Code(() => PosixFile.OpenRead(_folder["fifo"], followSymlinks: false)));
        Assert.Equal(Errno.Invalid, Code(() => PosixFile.OpenRead(_folder.Path, followSymlinks: false)));
        Assert.Equal(Errno.NotFound, Code(() => PosixFile.OpenRead(_folder["nothing"], followSymlinks: false)));
    }

    [Fact]
    public void SyncFolder_of_a_missing_folder_names_it()
    {
        PosixFile.SyncFolder(_folder.Path);
        var error = Assert.Throws<NativeException>(() => PosixFile.SyncFolder(_folder["nothing"]));
        Assert.Equal($"libc open '{_folder["nothing"]}': No such file or directory (2)", error.Message);
    }

    [Fact]
    public void RealPath_resolves_links_and_dots()
    {
        File.WriteAllText(_folder["file"], "x");
        File.CreateSymbolicLink(_folder["link"], "./file");
        Assert.Equal(PosixFile.RealPath(_folder["file"]), PosixFile.RealPath(_folder["link"]));
        Assert.Equal(Errno.NotFound, Code(() => PosixFile.RealPath(_folder["nothing"])));
    }

    [Fact]
    public void Errno_reads_the_codes_of_dotnet_and_of_native_failures()
    {
        Assert.Equal(Errno.NotFound, Errno.Of(Assert.Throws<FileNotFoundException>(() => File.OpenHandle(_folder["nothing"]))));
        Assert.Equal(Errno.NotFound, Errno.Of(Assert.Throws<DirectoryNotFoundException>(() => File.OpenHandle(_folder["a/b"]))));
        Assert.Equal(Errno.AccessDenied, Errno.Of(Assert.Throws<UnauthorizedAccessException>(() => File.OpenHandle(_folder.Path))));
        using var full = File.OpenHandle("/dev/full", FileMode.Open, FileAccess.Write);
        Assert.True(Errno.IsDiskFull(Assert.Throws<IOException>(() => RandomAccess.Write(full, "x"u8, 0))));
        Assert.Equal(0, Errno.Of(new InvalidOperationException()));
    }

    private static int Code(Func<object> call) => Assert.Throws<NativeException>(call).Code;
}
