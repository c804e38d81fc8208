using System.Collections.Concurrent;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Store.Manifests;

/// <summary>The manifests that the node keeps, one file each, named by digest. What is read is checked again: a file that does not hash to its name is not a manifest.</summary>
internal sealed class ManifestShelf
{
    private readonly string _folder;
    private readonly StoreLog _log;
    private readonly ConcurrentDictionary<Digest, Manifest?> _manifests = new();

    public ManifestShelf(string dataFolder, StoreLog log)
    {
        _folder = Path.Combine(dataFolder, "manifests");
        _log = log;
        Directory.CreateDirectory(_folder);
        DurableFile.RemoveUnfinished(_folder);
        foreach (var path in Directory.EnumerateFiles(_folder))
        {
            if (Digest.TryParse(Path.GetFileName(path.AsSpan()), out var digest))
            {
                // Read when first asked for.
                _manifests[digest] = null;
            }
        }
    }

    public IReadOnlyList<Digest> Digests => [.. _manifests.Keys];

    /// <summary>Keeps a manifest, durable on return.</summary>
    public void Save(Manifest manifest)
    {
        if (_manifests.TryGetValue(manifest.Digest, out var kept) && kept is not null)
        {
            return;
        }

        try
        {
            DurableFile.Write(PathOf(manifest.Digest), manifest.Encoded.Span);
        }
        catch (Exception failure) when (StoreFailure.IsOfFileSystem(failure))
        {
            throw StoreFailure.Of(failure, $"keeping manifest {manifest.Digest.ToShortString()} in {_folder}");
        }

        _manifests[manifest.Digest] = manifest;
    }

    /// <summary>A manifest kept, or null; null too when its file is damaged, which is then removed, or cannot be read at the moment.</summary>
    public Manifest? Find(Digest digest)
    {
        if (!_manifests.TryGetValue(digest, out var manifest) || manifest is not null)
        {
            return manifest;
        }

        try
        {
            var encoded = File.ReadAllBytes(PathOf(digest));
            if (Blake3.Hash(encoded) != digest)
            {
                throw new ManifestException("the file does not hash to its name");
            }

            manifest = Manifest.Decode(encoded);
            _manifests[digest] = manifest;
            return manifest;
        }
        catch (Exception failure) when (failure is ManifestException or FileNotFoundException)
        {
            _log.ManifestDropped(digest, failure.Message);
            Remove(digest);
            return null;
        }
        catch (Exception failure) when (StoreFailure.IsOfFileSystem(failure))
        {
            // Too many open files, a disk that hesitates: nothing that the manifest should pay for.
            _log.ManifestUnreadable(digest, failure.Message);
            return null;
        }
    }

    public void Remove(Digest digest)
    {
        if (_manifests.TryRemove(digest, out _))
        {
            File.Delete(PathOf(digest));
        }
    }

    private string PathOf(Digest digest) => Path.Combine(_folder, digest.ToString());
}
