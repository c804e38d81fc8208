using P2PWeights.Native.Posix;
using P2PWeights.Testing;

namespace P2PWeights.Native.Tests.Posix;

public sealed class FolderHandleTests : IDisposable
{
    private readonly TempFolder _outside = new();
    private readonly TempFolder _temp = new();
    private readonly FolderHandle _folder;

    public FolderHandleTests() => _folder = FolderHandle.Open(_temp.Path);

    public void Dispose()
    {
        _folder.Dispose();
        _temp.Dispose();
        _outside.Dispose();
    }

    [Fact]
    public void Files_are_created_read_and_renamed_below_the_folder()
    {
        _folder.CreateFolder("a/b c");
        _folder.CreateFolder("a/b c");
        using (var created = _folder.OpenFile("a/b c/.é", FileOpening.Create)!)
        {
            RandomAccess.Write(created, "x"u8, 0);
        }

        _folder.Rename("a/b c/.é", "new");
        _folder.SyncFolder("a/b c");
        _folder.SyncFolder("");
        Assert.Equal("x", File.ReadAllText(_temp["a/b c/new"]));
        Assert.Equal(1, _folder.TryStat("a/b c/new")?.Size);
        _folder.Delete("a/b c/new");
        _folder.Delete("a/b c/new");
        Assert.Null(_folder.OpenFile("a/b c/new", FileOpening.Read));
        Assert.Null(_folder.OpenFile("no/such/folder", FileOpening.Read));
    }

    [Fact]
    public void A_symlink_leads_nowhere_in_any_place_of_a_path()
    {
        File.WriteAllText(_outside["secret"], "untouched");
        File.CreateSymbolicLink(_temp["folder"], _outside.Path);
        File.CreateSymbolicLink(_temp["file"], _outside["secret"]);
        File.CreateSymbolicLink(_temp["dangling"], _outside["new"]);

        Assert.Contains(Code(() => _folder.OpenFile("folder/secret", FileOpening.ReadWrite)), new[] { Errno.SymlinkLoop, Errno.NotAFolder });
        Assert.Contains(Code(() => _folder.OpenFile("folder/new", FileOpening.Create)), new[] { Errno.SymlinkLoop, Errno.NotAFolder });
        Assert.Equal(Errno.SymlinkLoop, Code(() => _folder.OpenFile("file", FileOpening.ReadWrite)));
        Assert.Equal(Errno.Exists, Code(() => _folder.OpenFile("dangling", FileOpening.Create)));
        Assert.Throws<NativeException>(() => _folder.CreateFolder("folder/below"));
        Assert.Throws<NativeException>(() => _folder.Delete("folder/secret"));
        Assert.Throws<NativeException>(() => _folder.Rename("folder/secret", "renamed"));
        Assert.Throws<NativeException>(() => _folder.SyncFolder("folder"));
        Assert.Equal(FileKind.Symlink, _folder.TryStat("file")?.Kind);
        Assert.Equal(["secret"], Directory.GetFileSystemEntries(_outside.Path).Select(Path.GetFileName));
        Assert.Equal("untouched", File.ReadAllText(_outside["secret"]));
    }

    [Theory]
    [InlineData("../x")]
    [InlineData("/etc/passwd")]
    [InlineData("a/../../x")]
    [InlineData("a//b")]
    [InlineData(".")]
    [InlineData("")]
    public void A_path_that_could_leave_the_folder_is_refused(string path)
    {
        Assert.Throws<ArgumentException>(() => _folder.OpenFile(path, FileOpening.Read));
        Assert.Throws<ArgumentException>(() => _folder.CreateFolder(path));
    }

    [Fact]
    public void Rename_does_not_overwrite()
    {
        File.WriteAllText(_temp["mine"], "mine");
        File.WriteAllText(_temp["new"], "new");
        Assert.Equal(Errno.Exists, Code(() => { _folder.Rename("new", "mine"); return null; }));
        Assert.Equal("mine", File.ReadAllText(_temp["mine"]));
    }

    [Fact]
    public void Lock_is_exclusive_and_ends_with_the_handle()
    {
        Assert.True(_folder.TryLock());
        using var other = FolderHandle.Open(_temp.Path);
        Assert.False(other.TryLock());
        _folder.Dispose();
        Assert.True(other.TryLock(TimeSpan.FromSeconds(10)));
    }

    private static int Code(Func<object?> call) => Assert.Throws<NativeException>(call).Code;
}
