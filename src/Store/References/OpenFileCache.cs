using P2PWeights.Native.Posix;

namespace P2PWeights.Store.References;

/// <summary>Keeps the most recently used referenced files open, a bounded number of them; those in leases stay open besides. Thread-safe.</summary>
internal sealed class OpenFileCache(int capacity) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<int, LinkedListNode<(int Id, SharedFile File)>> _byId = [];
    private readonly LinkedList<(int Id, SharedFile File)> _recent = new();

    /// <summary>The open file, shared with the caller, who releases it; null when it is not the file any more that was referenced.</summary>
    public SharedFile? TryOpen(ReferencedFile file)
    {
        lock (_gate)
        {
            if (_byId.TryGetValue(file.Id, out var node) && node.Value.File.TryShare())
            {
                _recent.Remove(node);
                _recent.AddFirst(node);
                return node.Value.File;
            }
        }

        var handle = PosixFile.OpenRead(file.Path, followSymlinks: true);
        if (FileIdentity.Of(handle) != file.Identity)
        {
            handle.Dispose();
            return null;
        }

        var opened = new SharedFile(handle);
        opened.TryShare();
        Add(file.Id, opened);
        return opened;
    }

    /// <summary>Closes a file, once its leases are back.</summary>
    public void Close(int id)
    {
        lock (_gate)
        {
            if (_byId.Remove(id, out var node))
            {
                _recent.Remove(node);
                node.Value.File.Release();
            }
        }
    }

    public void Dispose()
    {
        foreach (var (id, _) in _recent.ToArray())
        {
            Close(id);
        }
    }

    /// <summary>Takes over one use of <paramref name="file"/>.</summary>
    private void Add(int id, SharedFile file)
    {
        lock (_gate)
        {
            if (_byId.Remove(id, out var replaced))
            {
                _recent.Remove(replaced);
                replaced.Value.File.Release();
            }

            _byId[id] = _recent.AddFirst((id, file));
            if (_recent.Count > capacity)
            {
                var (oldest, oldestFile) = _recent.Last!.Value;
                _recent.RemoveLast();
                _byId.Remove(oldest);
                oldestFile.Release();
            }
        }
    }
}
