using P2PWeights.Store.Content;

namespace P2PWeights.Store.References;

/// <summary>A place where a shard lies: a file and the extent in it.</summary>
internal readonly record struct ReferencedPlace(int FileId, FileExtent Extent);

/// <summary>The referenced files, by number and by path, with the shards in each. Plain bookkeeping under one short lock.</summary>
internal sealed class ReferencedFileTable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<int, ReferencedFile> _files = [];
    private readonly Dictionary<string, ReferencedFile> _byPath = new(StringComparer.Ordinal);
    private int _lastId;
    private long _shards;
    private long _bytes;

    /// <summary>Shards that files hold, and their bytes; a shard in two places counts twice.</summary>
    public (long Shards, long Bytes) Usage
    {
        get
        {
            lock (_gate)
            {
                return (_shards, _bytes);
            }
        }
    }

    public ReferencedFile? Find(int id)
    {
        lock (_gate)
        {
            return _files.GetValueOrDefault(id);
        }
    }

    public ReferencedFile? Find(string path)
    {
        lock (_gate)
        {
            return _byPath.GetValueOrDefault(path);
        }
    }

    /// <summary>The files that fulfil a condition, in the order of their numbers.</summary>
    public List<ReferencedFile> Where(Func<ReferencedFile, bool> condition)
    {
        lock (_gate)
        {
            return [.. _files.Values.Where(condition).OrderBy(file => file.Id)];
        }
    }

    /// <summary>Adds a file under a new number.</summary>
    public ReferencedFile Add(string path, FileIdentity identity, SharedFile? unfinished)
    {
        lock (_gate)
        {
            var file = new ReferencedFile(_lastId + 1, path, identity, unfinished);
            Put(file);
            return file;
        }
    }

    /// <summary>Adds a file of the journal under the number that it has there.</summary>
    public void Put(ReferencedFile file)
    {
        lock (_gate)
        {
            _lastId = Math.Max(_lastId, file.Id);
            _files.Add(file.Id, file);
            _byPath[file.Path] = file;
            Count(file.Extents, 1);
        }
    }

    /// <summary>Numbers up to this one have been given; a later file must not get one of them.</summary>
    public void Reserve(int id)
    {
        lock (_gate)
        {
            _lastId = Math.Max(_lastId, id);
        }
    }

    /// <summary>Adds the extents that a file does not have yet, and returns those; null when the file is not in the table any more.</summary>
    public List<FileExtent>? AddExtents(ReferencedFile file, IReadOnlyList<FileExtent> extents)
    {
        lock (_gate)
        {
            if (!_files.ContainsKey(file.Id))
            {
                return null;
            }

            var added = extents.Where(file.Extents.Add).ToList();
            Count(added, 1);
            return added;
        }
    }

    /// <summary>Removes a file; null when it is not there any more.</summary>
    public ReferencedFile? Remove(int id)
    {
        lock (_gate)
        {
            if (!_files.Remove(id, out var file))
            {
                return null;
            }

            if (_byPath.GetValueOrDefault(file.Path) == file)
            {
                _byPath.Remove(file.Path);
            }

            Count(file.Extents, -1);
            return file;
        }
    }

    /// <summary>
    /// Removes the extents of a shard at an offset from a file that holds others, of whatever size they were said to be: how large the shard is the index may have learned from another replica since.
    /// </summary>
    /// <returns>What was removed, and the shards of the others; null, and nothing is removed, when there are no others or the file is not in the table any more.</returns>
    public (List<FileExtent> Removed, List<Digest> Others)? RemoveExtents(ReferencedFile file, Digest digest, long offset)
    {
        lock (_gate)
        {
            var removed = file.Extents.Where(extent => extent.Shard.Digest == digest && extent.Offset == offset).ToList();
            if (!_files.ContainsKey(file.Id) || removed.Count == file.Extents.Count)
            {
                return null;
            }

            file.Extents.ExceptWith(removed);
            Count(removed, -1);
            return (removed, [.. file.Extents.Select(other => other.Shard.Digest)]);
        }
    }

    /// <summary>Removes a shard from all files.</summary>
    public void RemoveShard(Digest digest)
    {
        lock (_gate)
        {
            foreach (var file in _files.Values)
            {
                Count(file.Extents.Where(extent => extent.Shard.Digest == digest), -1);
                file.Extents.RemoveWhere(extent => extent.Shard.Digest == digest);
            }
        }
    }

    /// <summary>For each shard its place in the file with the highest number: where the index points.</summary>
    /// <param name="only">Shards asked for; null for all.</param>
    public Dictionary<Digest, ReferencedPlace> LastPlaces(HashSet<Digest>? only)
    {
        lock (_gate)
        {
            var places = new Dictionary<Digest, ReferencedPlace>();
            foreach (var file in _files.Values.OrderBy(file => file.Id))
            {
                foreach (var extent in file.Extents)
                {
                    if (only is null || only.Contains(extent.Shard.Digest))
                    {
                        places[extent.Shard.Digest] = new ReferencedPlace(file.Id, extent);
                    }
                }
            }

            return places;
        }
    }

    private void Count(IEnumerable<FileExtent> extents, int sign)
    {
        foreach (var extent in extents)
        {
            _shards += sign;
            _bytes += sign * (long)extent.Shard.Size;
        }
    }
}
