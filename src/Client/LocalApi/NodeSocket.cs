using System.Net.Sockets;

namespace P2PWeights.Client.LocalApi;

/// <summary>The file of the node's Unix socket: who may connect, and what to do about one that is already there.</summary>
internal static class NodeSocket
{
    private const UnixFileMode OwnerFolder = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const UnixFileMode OwnerFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>The address of a socket file.</summary>
    /// <exception cref="NodeException"><see cref="NodeError.Usage"/>: the path is relative, or longer than the kernel takes (sun_path: 108 bytes, unix(7)).</exception>
    public static UnixDomainSocketEndPoint EndPoint(string path)
    {
        try
        {
            return new UnixDomainSocketEndPoint(LocalPath.Require(path, "the socket"));
        }
        catch (ArgumentOutOfRangeException e)
        {
            throw new NodeException(NodeError.Usage, $"the path of the socket is longer than 107 bytes: {path}; choose a shorter one", e);
        }
    }

    /// <summary>Makes the folder, for the owner alone, and removes a socket that a dead process left behind.</summary>
    /// <exception cref="NodeException"><see cref="NodeError.NotAllowed"/>: a live node listens there, or the path is something else.</exception>
    public static async Task PrepareAsync(string path, CancellationToken cancellationToken)
    {
        if (Path.GetDirectoryName(path) is { Length: > 0 } folder && !Directory.Exists(folder))
        {
            Directory.CreateDirectory(folder, OwnerFolder);
        }

        // File.Exists is true for sockets and for what else is not a folder.
        if (Directory.Exists(path) || (File.Exists(path) && !await IsDeadSocketAsync(path, cancellationToken).ConfigureAwait(false)))
        {
            throw new NodeException(NodeError.NotAllowed, $"{path} is not a socket; remove it, or choose another --socket");
        }

        File.Delete(path);
    }

    /// <summary>Binds, with access for the owner alone. The mode is set before anybody listens, so at no time can others connect.</summary>
    public static Socket Bind(UnixDomainSocketEndPoint endPoint)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Bind(endPoint);
            File.SetUnixFileMode(endPoint.ToString()!, OwnerFile);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static async Task<bool> IsDeadSocketAsync(string path, CancellationToken cancellationToken)
    {
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await probe.ConnectAsync(EndPoint(path), cancellationToken).ConfigureAwait(false);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionRefused)
        {
            // Nobody listens. The kernel says the same of a regular file, which must not be removed.
            return (File.GetAttributes(path) & (FileAttributes.ReparsePoint | FileAttributes.Directory)) == 0 && new FileInfo(path).Length == 0 && !IsRegular(path);
        }

        catch (SocketException e)
        {
            // Another user's, or a socket of another kind: somebody else's either way.
            throw new NodeException(NodeError.NotAllowed, $"{path} belongs to somebody else ({e.Message}); choose another --socket", e);
        }

        throw new NodeException(NodeError.NotAllowed, $"another node listens on {path}; stop it, or choose another --socket");
    }

    /// <summary>Opening a socket file fails (ENXIO), opening a regular one does not.</summary>
    private static bool IsRegular(string path)
    {
        try
        {
            File.OpenHandle(path).Dispose();
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }
}
