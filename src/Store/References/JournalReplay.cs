using System.Buffers.Binary;
using P2PWeights.Store.Content;

namespace P2PWeights.Store.References;

/// <summary>Builds the list of referenced files from journal entries, in their order. Replaying entries twice gives the same list.</summary>
internal sealed class JournalReplay
{
    private readonly SortedDictionary<int, ReferencedFile> _files = [];

    /// <summary>The files so far, in the order of their numbers.</summary>
    public IReadOnlyList<ReferencedFile> Files => [.. _files.Values];

    /// <exception cref="InvalidDataException">The entry is malformed.</exception>
    public void Apply(ReadOnlySpan<byte> entry)
    {
        JournalEntry.Require(entry.Length >= JournalEntry.HeadBytes);
        var fileId = BinaryPrimitives.ReadInt32LittleEndian(entry[1..]);
        var body = entry[JournalEntry.HeadBytes..];
        switch (entry[0])
        {
            case JournalEntry.FileKind:
                // A file is repeated before each group of its extents.
                _files.TryAdd(fileId, JournalEntry.ReadFile(fileId, body));
                break;
            case JournalEntry.ExtentsKind:
                JournalEntry.Require(_files.TryGetValue(fileId, out var file));
                file!.Extents.UnionWith(JournalEntry.ReadExtents(body));
                break;
            case JournalEntry.RemovedKind:
                JournalEntry.Require(_files.TryGetValue(fileId, out var holder));
                holder!.Extents.ExceptWith(JournalEntry.ReadExtents(body));
                break;
            case JournalEntry.DropKind:
                _files.Remove(fileId);
                break;
            case JournalEntry.ForgetKind:
                JournalEntry.Require(body.Length == Digest.Size);
                var digest = new Digest(body);
                foreach (var known in _files.Values)
                {
                    known.Extents.RemoveWhere(extent => extent.Shard.Digest == digest);
                }

                break;
            default:
                throw new InvalidDataException($"unknown kind {entry[0]}");
        }
    }
}
