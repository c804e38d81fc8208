using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using P2PWeights.Native.Posix;

namespace P2PWeights.Store;

/// <summary>The data folder: makes it, keeps every other process out while it is open, and knows the node's identity.</summary>
internal sealed class DataFolder : IDisposable
{
    private const string NodeIdName = "node-id";

    private readonly SafeFileHandle _lock;

    private DataFolder(string path, SafeFileHandle held, Guid nodeId) => (Path, _lock, NodeId) = (path, held, nodeId);

    public string Path { get; }

    /// <summary>Made at the first open, kept in the file <c>node-id</c>.</summary>
    public Guid NodeId { get; }

    /// <exception cref="StoreException"><see cref="StoreError.Locked"/>, naming the process; NotAllowed or Io: the folder cannot be used.</exception>
    public static DataFolder Open(string path)
    {
        path = System.IO.Path.GetFullPath(path);
        SafeFileHandle? held = null;
        try
        {
            if (!Directory.Exists(path))
            {
                Directory.CreateDirectory(path);
                PosixFile.SyncFolder(System.IO.Path.GetDirectoryName(path)!);
            }

            var lockPath = System.IO.Path.Combine(path, "lock");
            held = PosixFile.TryLockExclusive(lockPath, PosixFile.ForkPatience)
                ?? throw new StoreException(StoreError.Locked, $"the data folder {path} is in use by process {Holder(lockPath)}; stop that one, or give this one another folder");
            RandomAccess.SetLength(held, 0);
            RandomAccess.Write(held, Encoding.ASCII.GetBytes(Environment.ProcessId.ToString(CultureInfo.InvariantCulture)), 0);
            DurableFile.RemoveUnfinished(path);
            return new DataFolder(path, held, ReadOrMakeNodeId(path));
        }
        catch (Exception failure) when (StoreFailure.IsOfFileSystem(failure))
        {
            held?.Dispose();
            throw StoreFailure.Of(failure, $"opening the data folder {path}");
        }
        catch
        {
            held?.Dispose();
            throw;
        }
    }

    /// <summary>Whether a folder is, as far as can be told, the data folder of a node: false only when it is gone, has no node id, or another one.</summary>
    /// <exception cref="IOException">It cannot be looked at.</exception>
    public static bool MayBeOf(string path, Guid nodeId)
    {
        var file = System.IO.Path.Combine(path, NodeIdName);
        return PosixFile.TryStat(file, followSymlinks: true) is not null && (TryReadNodeId(file) ?? nodeId) == nodeId;
    }

    public void Dispose() => _lock.Dispose();

    private static string Holder(string lockPath)
    {
        // .NET's own way to open a file takes a shared lock, which the holder's forbids.
        using var file = new StreamReader(new FileStream(PosixFile.OpenRead(lockPath, followSymlinks: true), FileAccess.Read));

        // The holder writes its number just after it has the lock, so for a moment there may be none.
        return file.ReadToEnd() is { Length: > 0 } text ? text : "(unknown)";
    }

    private static Guid ReadOrMakeNodeId(string path)
    {
        var file = System.IO.Path.Combine(path, NodeIdName);
        if (!File.Exists(file))
        {
            var made = Guid.NewGuid();
            DurableFile.Write(file, Encoding.ASCII.GetBytes(made.ToString("N")));
            return made;
        }

        return TryReadNodeId(file) is { } nodeId
            ? nodeId
            : throw new StoreException(StoreError.Corrupt, $"{file} does not hold a node id (32 hex digits); restore it, or remove it to become a new node");
    }

    private static Guid? TryReadNodeId(string file) => Guid.TryParseExact(File.ReadAllText(file).Trim(), "N", out var nodeId) ? nodeId : null;
}
