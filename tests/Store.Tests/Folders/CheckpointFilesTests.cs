using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.Versioning;
using P2PWeights.Store.Folders;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Folders;

public sealed class CheckpointFilesTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    [Fact]
    public void Files_are_listed_in_ordinal_order_with_hidden_unicode_and_nested_ones()
    {
        Write("b.bin", 3);
        Write("a/z y.bin", 2);
        Write("a/.hidden", 1);
        Write("模型", 0);
        Write("B.json", 5);
        Directory.CreateDirectory(_temp["empty folder"]);

        Assert.Equal(
            [("B.json", 5L), ("a/.hidden", 1), ("a/z y.bin", 2), ("b.bin", 3), ("模型", 0)],
            CheckpointFiles.List(_temp.Path + "/").Select(file => (file.Path, file.Size)));
        Assert.All(CheckpointFiles.List(_temp.Path), file => Assert.Equal(_temp[file.Path], file.FullPath));
    }

    [Fact]
    public void Symlinks_to_files_stand_for_the_files_as_in_a_Hugging_Face_cache()
    {
        Write("blobs/0123", 7);
        Directory.CreateDirectory(_temp["snapshots/main"]);
        File.CreateSymbolicLink(_temp["snapshots/main/model.safetensors"], "../../blobs/0123");

        var file = Assert.Single(CheckpointFiles.List(_temp["snapshots/main"]));
        Assert.Equal(new CheckpointFile("model.safetensors", _temp["blobs/0123"], 7), file);
        CheckpointFiles.OpenRead(file).Dispose();
    }

    [Fact]
    public void Folder_reached_through_a_symlink_is_listed_where_it_is()
    {
        Write("v1/a", 1);
        Directory.CreateSymbolicLink(_temp["latest"], "v1");
        Assert.Equal(new CheckpointFile("a", _temp["v1/a"], 1), Assert.Single(CheckpointFiles.List(_temp["latest"])));
    }

    [Fact]
    public void Missing_empty_and_wrong_folders_are_refused()
    {
        Write("file", 1);
        Directory.CreateDirectory(_temp["empty/nested"]);
        Refused("nothing", "there is no such folder");
        Refused("file", "it is a file");
        Refused("empty", "it holds no files");
    }

    [Theory]
    [InlineData("loop", "leads in a circle")]
    [InlineData("nothing", "to nothing")]
    [InlineData(".", "to a folder")]
    [InlineData("/dev/null", "to a socket, FIFO or device")]
    public void Symlink_that_is_not_to_a_file_is_refused(string target, string reason)
    {
        Write("in/a", 1);
        File.CreateSymbolicLink(_temp["in/loop"], target);
        Refused("in", "in/loop", reason);
    }

    [Fact]
    public void Fifos_and_sockets_are_refused()
    {
        Directory.CreateDirectory(_temp["fifo"]);
        Bash($"mkfifo '{_temp["fifo/f"]}'");
        Refused("fifo", "fifo/f", "socket, FIFO or device");

        Directory.CreateDirectory(_temp["socket"]);
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(_temp["socket/s"]));
        Refused("socket", "socket/s", "socket, FIFO or device");
    }

    [Theory]
    [InlineData("back\\slash")]
    [InlineData("new\nline")]
    [InlineData("a.0123456789abcdef.partial")]
    public void Names_that_no_manifest_may_hold_are_refused(string name)
    {
        Write("in/" + name, 1);
        Refused("in", "in/" + name, "cannot be published");
    }

    [Fact]
    public void Name_that_is_not_utf8_is_refused()
    {
        Bash($"touch '{_temp.Path}'/$'bad\\xff'");
        try
        {
            Refused("", "not UTF-8");
        }
        finally
        {
            // .NET cannot even name it to remove it.
            Bash($"rm '{_temp.Path}'/bad*");
        }
    }

    [Fact]
    public void Names_that_differ_in_case_only_are_refused()
    {
        Write("in/Model.bin", 1);
        Write("in/model.bin", 1);
        Refused("in", "model.bin");
    }

    [Fact]
    [UnsupportedOSPlatform("windows")]
    public void Unreadable_file_and_folder_are_refused_by_name()
    {
        Write("in/secret/file", 1);
        File.SetUnixFileMode(_temp.Path, UnixFileMode.UserRead | UnixFileMode.UserExecute | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
        File.SetUnixFileMode(_temp["in/secret/file"], UnixFileMode.None);
        var file = Assert.Single(CheckpointFiles.List(_temp["in"]));
        Nobody.Run(() =>
        {
            var error = Assert.Throws<StoreException>(() => CheckpointFiles.OpenRead(file));
            Assert.Equal(StoreError.NotAllowed, error.Error);
            Assert.Contains(_temp["in/secret/file"], error.Message, StringComparison.Ordinal);
        });

        File.SetUnixFileMode(_temp["in/secret"], UnixFileMode.None);
        Nobody.Run(() => Refused("in", "in/secret"));
        File.SetUnixFileMode(_temp["in/secret"], UnixFileMode.UserRead | UnixFileMode.UserExecute | UnixFileMode.UserWrite);
    }

    [Fact]
    public void File_replaced_by_a_symlink_after_listing_is_not_opened()
    {
        Write("in/a", 1);
        var file = Assert.Single(CheckpointFiles.List(_temp["in"]));
        File.Delete(_temp["in/a"]);
        File.CreateSymbolicLink(_temp["in/a"], "/etc/passwd");
        Assert.Equal(StoreError.NotAllowed, Assert.Throws<StoreException>(() => CheckpointFiles.OpenRead(file)).Error);
    }

    private static void Bash(string command)
    {
        using var bash = Process.Start("/bin/bash", ["-c", command]);
        bash.WaitForExit();
        Assert.Equal(0, bash.ExitCode);
    }

    private void Write(string path, int size)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_temp[path])!);
        File.WriteAllBytes(_temp[path], new byte[size]);
    }

    private void Refused(string folder, params string[] parts)
    {
        var error = Assert.Throws<StoreException>(() => CheckpointFiles.List(_temp[folder]));
        Assert.Equal(StoreError.NotAllowed, error.Error);
        Assert.All(parts, part => Assert.True(error.Message.Contains(part, StringComparison.Ordinal), error.Message));
    }
}
