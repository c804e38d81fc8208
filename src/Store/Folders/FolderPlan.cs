using System.Collections.Immutable;
using System.Text.RegularExpressions;
using P2PWeights.Store.Content;

namespace P2PWeights.Store.Folders;

/// <summary>
/// What a folder may hold for one manifest, and where each shard goes. Values in, values out: touches no file.
/// </summary>
internal sealed partial class FolderPlan
{
    private const int DigestDigits = 16;

    private readonly Dictionary<string, int> _finalNames = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _partialNames = new(StringComparer.Ordinal);
    private readonly Dictionary<Digest, int> _ordinals = [];
    private readonly HashSet<string> _folders = new(StringComparer.Ordinal);
    private readonly string _partialSuffix;

    /// <summary>Where each shard's places start in <see cref="_places"/>; one more entry for the end.</summary>
    private readonly int[] _firstPlace;
    private readonly Place[] _places;

    public FolderPlan(Manifest manifest)
    {
        Manifest = manifest;
        _partialSuffix = $".{manifest.Digest.ToString()[..DigestDigits]}.partial";
        Extents = [.. manifest.Files.Select(file => ExtentsOf(manifest, file))];
        for (var file = 0; file < manifest.Files.Length; file++)
        {
            var path = manifest.Files[file].Path;
            _finalNames.Add(path, file);
            _partialNames.Add(PartialPath(path), file);
            for (var slash = path.LastIndexOf('/'); slash >= 0 && _folders.Add(path[..slash]); slash = path.LastIndexOf('/', slash - 1))
            {
            }
        }

        for (var ordinal = 0; ordinal < manifest.Shards.Length; ordinal++)
        {
            _ordinals.Add(manifest.Shards[ordinal].Digest, ordinal);
        }

        (_firstPlace, _places) = GroupByShard(manifest);
    }

    public Manifest Manifest { get; }

    /// <summary>The extents of each file of the manifest, in file order.</summary>
    public ImmutableArray<ImmutableArray<FileExtent>> Extents { get; }

    /// <summary>Folders that the manifest's files need, relative, parents included.</summary>
    public IReadOnlySet<string> Folders => _folders;

    /// <summary>Name of a file while it is unfinished.</summary>
    public string PartialPath(string path) => path + _partialSuffix;

    /// <summary>The shard's index in the manifest, or null when it is not part of it.</summary>
    public int? Ordinal(Digest digest) => _ordinals.TryGetValue(digest, out var ordinal) ? ordinal : null;

    /// <summary>Everywhere that a shard belongs: a shard may be used in several files, and several times in one.</summary>
    public ReadOnlySpan<Place> PlacesOf(int ordinal) => _places.AsSpan(_firstPlace[ordinal].._firstPlace[ordinal + 1]);

    /// <summary>What a name found in the folder stands for.</summary>
    /// <param name="relative">Path relative to the folder.</param>
    /// <param name="kind">What lies there; a symlink is never taken for its target.</param>
    public FolderEntry Classify(string relative, Native.Posix.FileKind kind)
    {
        if (kind == Native.Posix.FileKind.Symlink)
        {
            return FolderEntry.Foreign(relative, "a symlink, which is never followed inside a checkpoint's folder");
        }

        if (kind == Native.Posix.FileKind.Special)
        {
            return FolderEntry.Foreign(relative, "not a regular file");
        }

        if (kind == Native.Posix.FileKind.Folder)
        {
            return _folders.Contains(relative) ? new FolderEntry(relative, EntryRole.Folder)
                : FolderEntry.Foreign(relative, _finalNames.ContainsKey(relative) ? "a folder where the checkpoint has a file" : "a folder that the checkpoint does not have");
        }

        if (_finalNames.TryGetValue(relative, out var file))
        {
            return new FolderEntry(relative, EntryRole.Final, file);
        }

        if (_partialNames.TryGetValue(relative, out file))
        {
            return new FolderEntry(relative, EntryRole.Partial, file);
        }

        return FolderEntry.Foreign(relative, OtherPull(relative) is { } digits
            ? $"an unfinished file of the pull of another checkpoint (manifest {digits}...)"
            : _folders.Contains(relative) ? "a file where the checkpoint has a folder" : "not part of the checkpoint");
    }

    /// <summary>The digest digits in the name of an unfinished file, or null for any other name.</summary>
    public static string? OtherPull(string name) =>
        PartialName().Match(name) is { Success: true } match ? match.Groups[1].Value : null;

    [GeneratedRegex(@"\.([0-9a-f]{16})\.partial\z", RegexOptions.CultureInvariant)]
    private static partial Regex PartialName();

    private static ImmutableArray<FileExtent> ExtentsOf(Manifest manifest, ManifestFile file)
    {
        var extents = ImmutableArray.CreateBuilder<FileExtent>(file.Shards.Length);
        var offset = 0L;
        foreach (var ordinal in file.Shards)
        {
            extents.Add(new FileExtent(manifest.Shards[ordinal], offset));
            offset += manifest.Shards[ordinal].Size;
        }

        return extents.MoveToImmutable();
    }

    /// <summary>A counting sort of all extents by ordinal: two arrays, however many shards there are.</summary>
    private static (int[] FirstPlace, Place[] Places) GroupByShard(Manifest manifest)
    {
        var next = new int[manifest.Shards.Length + 1];
        foreach (var ordinal in manifest.Files.SelectMany(file => file.Shards))
        {
            next[ordinal + 1]++;
        }

        for (var ordinal = 0; ordinal < manifest.Shards.Length; ordinal++)
        {
            next[ordinal + 1] += next[ordinal];
        }

        var firstPlace = (int[])next.Clone();
        var places = new Place[next[^1]];
        for (var file = 0; file < manifest.Files.Length; file++)
        {
            var shards = manifest.Files[file].Shards;
            for (var extent = 0; extent < shards.Length; extent++)
            {
                places[next[shards[extent]]++] = new Place(file, extent);
            }
        }

        return (firstPlace, places);
    }
}

/// <summary>One use of a shard: an extent of a file, both by index.</summary>
internal readonly record struct Place(int File, int Extent);

/// <summary>What a name in the folder is to the manifest.</summary>
internal enum EntryRole
{
    /// <summary>A folder on the way to one of the manifest's files.</summary>
    Folder,

    /// <summary>A file of the manifest under its final name.</summary>
    Final,

    /// <summary>An unfinished file of this manifest.</summary>
    Partial,

    /// <summary>Anything else.</summary>
    Foreign,
}

/// <summary>A name found in the folder.</summary>
/// <param name="Path">Relative to the folder.</param>
/// <param name="Role">What it is.</param>
/// <param name="File">Index of the manifest's file, for final and unfinished files.</param>
/// <param name="Reason">Why it is foreign.</param>
internal readonly record struct FolderEntry(string Path, EntryRole Role, int File = -1, string? Reason = null)
{
    public static FolderEntry Foreign(string path, string reason) => new(path, EntryRole.Foreign, Reason: reason);
}
