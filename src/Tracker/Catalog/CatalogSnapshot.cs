using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;
using P2PWeights.Store.Serialization;

namespace P2PWeights.Tracker.Catalog;

/// <summary>The file <c>snapshot</c>: the catalog as of one change, followed by the BLAKE3 digest of those bytes. Replaced whole.</summary>
internal static class CatalogSnapshot
{
    private const string FileName = "snapshot";

    /// <summary>Reads the snapshot; null when there is none.</summary>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    public static CatalogState? Read(string folder)
    {
        DurableFile.RemoveUnfinished(folder);
        var path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
        {
            return null;
        }

        var bytes = File.ReadAllBytes(path);
        if (bytes.Length < Digest.Size || Blake3.Hash(bytes.AsSpan(..^Digest.Size)) != new Digest(bytes.AsSpan(^Digest.Size..)))
        {
            throw new InvalidDataException($"{path} does not have the digest at its end: the file is damaged");
        }

        try
        {
            return CatalogEncoding.DecodeSnapshot(bytes.AsMemory(..^Digest.Size));
        }
        catch (MessagePackSerializationException e)
        {
            throw new InvalidDataException($"{path} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Replaces the snapshot; done when it is on disk.</summary>
    public static void Write(string folder, CatalogState state)
    {
        var encoded = CatalogEncoding.Encode(state);
        DurableFile.Write(Path.Combine(folder, FileName), [.. encoded, .. Blake3.Hash(encoded).ToByteArray()]);
    }
}
