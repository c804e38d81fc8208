using System.Runtime.Versioning;
using P2PWeights.Native.Posix;
using P2PWeights.Testing;

namespace P2PWeights.Native.Tests.Posix;

[SupportedOSPlatform("linux")]
public sealed class RangeCopyTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly Seeded _seeded = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(0, 0, 1)]
    [InlineData(0, 4096, 1 << 20)]
    [InlineData(7, 4097, (1 << 20) + 3)]
    public void Copy_writes_exactly_the_range(int from, int to, int length)
    {
        var bytes = _seeded.Bytes(from + length + 10);
        File.WriteAllBytes(_folder["source"], bytes);
        var around = _seeded.Bytes(to + length + 20);
        File.WriteAllBytes(_folder["destination"], around);
        using (var source = File.OpenHandle(_folder["source"]))
        using (var destination = File.OpenHandle(_folder["destination"], FileMode.Open, FileAccess.ReadWrite))
        {
            Assert.NotEqual(RangeCopied.No, RangeCopy.TryCopy(source, from, destination, to, length));
        }

        Assert.Equal([.. around[..to], .. bytes.AsSpan(from, length), .. around[(to + length)..]], File.ReadAllBytes(_folder["destination"]));
    }

    [Fact]
    public void Source_that_ends_early_and_files_that_cannot_be_copied_from_are_no_copy()
    {
        File.WriteAllBytes(_folder["source"], new byte[100]);
        using var source = File.OpenHandle(_folder["source"]);
        using var destination = File.OpenHandle(_folder["destination"], FileMode.Create, FileAccess.ReadWrite);
        using var device = File.OpenHandle("/dev/zero");

        Assert.Equal(RangeCopied.No, RangeCopy.TryCopy(source, 50, destination, 0, 51));
        Assert.Equal(RangeCopied.No, RangeCopy.TryCopy(device, 0, destination, 0, 10));
    }

    [Fact]
    public void Link_is_another_name_of_the_open_file_whatever_its_path_leads_to()
    {
        File.WriteAllText(_folder["file"], "first");
        using var file = File.OpenHandle(_folder["file"]);
        File.Move(_folder["file"], _folder["moved"]);
        File.WriteAllText(_folder["file"], "second");

        Assert.True(PosixFile.TryLink(file, _folder["link"]));

        Assert.Equal("first", File.ReadAllText(_folder["link"]));
        Assert.Equal(Errno.Exists, Assert.Throws<NativeException>(() => PosixFile.TryLink(file, _folder["link"])).Code);
        Assert.False(PosixFile.TryLink(file, "/proc/link"));
        File.Delete(_folder["moved"]);
        File.Delete(_folder["link"]);
        Assert.False(PosixFile.TryLink(file, _folder["again"]));
    }

    [Fact]
    public void File_that_nobody_may_write_to_keeps_its_other_permissions()
    {
        File.WriteAllText(_folder["file"], "x");
        File.SetUnixFileMode(_folder["file"], UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite);
        using var file = File.OpenHandle(_folder["file"]);
        Assert.False(PosixFile.Stat(file).IsReadOnly);

        PosixFile.ForbidWriting(file);

        Assert.True(PosixFile.Stat(file).IsReadOnly);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.GroupRead, File.GetUnixFileMode(_folder["file"]));
    }
}
