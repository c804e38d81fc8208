using Microsoft.Win32.SafeHandles;
using P2PWeights.Native;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;

namespace P2PWeights.Store.Folders;

/// <summary>
/// Lists a folder to be published. A symlink to a file stands for the file, wherever it is: the snapshots of a Hugging Face cache are folders of links to
/// <c>../../blobs</c>. A symlink to a folder is refused: followed, it could lead in circles or publish a machine, and skipped, files would be missing silently.
/// Anything that cannot be published is refused, never left out.
/// </summary>
public static class CheckpointFiles
{
    /// <summary>All files below a folder, in ordinal order of their paths.</summary>
    /// <exception cref="StoreException"><see cref="StoreError.NotAllowed"/>: the folder is missing or empty, or something in it cannot be published; the message names
    /// it and the reason. <see cref="StoreError.Io"/>: reading a folder failed.</exception>
    public static IReadOnlyList<CheckpointFile> List(string folder)
    {
        folder = Resolve(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));
        var files = new List<CheckpointFile>();
        var pending = new Stack<string>([""]);
        while (pending.TryPop(out var parent))
        {
            foreach (var name in FolderSurvey.Names(Path.Combine(folder, parent)))
            {
                var relative = parent.Length == 0 ? name : $"{parent}/{name}";
                if (Inspect(folder, relative) is { } file)
                {
                    files.Add(file);
                }
                else
                {
                    pending.Push(relative);
                }
            }
        }

        if (files.Count == 0)
        {
            throw Refused(folder, "it holds no files");
        }

        if (ManifestPath.Collision(files.Select(file => file.Path)) is { } collision)
        {
            throw Refused(folder, collision);
        }

        files.Sort((left, right) => string.CompareOrdinal(left.Path, right.Path));
        return files;
    }

    /// <summary>Opens a listed file for reading.</summary>
    /// <exception cref="StoreException"><see cref="StoreError.NotAllowed"/>: it may not be read, or is not there or not a regular file any more. <see cref="StoreError.Io"/>.</exception>
    public static SafeFileHandle OpenRead(CheckpointFile file)
    {
        try
        {
            // The links were resolved when it was listed: one that has come since is another file.
            return PosixFile.OpenRead(file.FullPath, followSymlinks: false);
        }
        catch (NativeException error)
        {
            throw FolderErrors.Wrap(error, $"'{file.FullPath}' cannot be published");
        }
    }

    /// <summary>The folder without symlinks: a link such as <c>latest</c> may point elsewhere by the time that the files are served.</summary>
    private static string Resolve(string folder)
    {
        try
        {
            if (PosixFile.TryStat(folder, followSymlinks: true)?.Kind is var kind and not FileKind.Folder)
            {
                throw Refused(folder, kind is null ? "there is no such folder" : "it is a file; give the folder that holds the checkpoint");
            }

            return PosixFile.RealPath(folder);
        }
        catch (NativeException error)
        {
            throw FolderErrors.Wrap(error, $"'{folder}' cannot be published");
        }
    }

    /// <summary>A file; null for a folder.</summary>
    private static CheckpointFile? Inspect(string folder, string relative)
    {
        var path = Path.Combine(folder, relative);
        if (ManifestPath.Problem(relative) is { } problem)
        {
            throw Refused(path, problem);
        }

        if (FolderPlan.OtherPull(relative) is not null)
        {
            throw Refused(path, "it is an unfinished file of a pull: finish the pull, or remove the file");
        }

        try
        {
            switch (PosixFile.TryStat(path, followSymlinks: false))
            {
                case null:
                    throw Refused(path, "it vanished while the folder was listed, or its name is not UTF-8");
                case { Kind: FileKind.Folder }:
                    return null;
                case { Kind: FileKind.Regular } stat:
                    return new CheckpointFile(relative, path, stat.Size);
                case { Kind: FileKind.Symlink }:
                    return Follow(relative, path);
                default:
                    throw Refused(path, "it is a socket, FIFO or device");
            }
        }
        catch (NativeException error) when (error.Code == Errno.SymlinkLoop)
        {
            throw Refused(path, "it is a symlink that leads in a circle", error);
        }
        catch (NativeException error)
        {
            throw FolderErrors.Wrap(error, $"'{path}' cannot be published");
        }
    }

    private static CheckpointFile Follow(string relative, string path) => PosixFile.TryStat(path, followSymlinks: true) switch
    {
        null => throw Refused(path, "it is a symlink to nothing"),
        { Kind: FileKind.Regular } stat => new CheckpointFile(relative, PosixFile.RealPath(path), stat.Size),
        { Kind: FileKind.Folder } => throw Refused(path, "it is a symlink to a folder, which could lead in circles: put a copy or a bind mount in its place"),
        _ => throw Refused(path, "it is a symlink to a socket, FIFO or device"),
    };

    private static StoreException Refused(string path, string reason, Exception? inner = null) =>
        new(StoreError.NotAllowed, $"'{path}' cannot be published: {reason}", inner: inner);
}
