using System.Diagnostics.CodeAnalysis;

namespace P2PWeights.Store.Content;

/// <summary>
/// <c>name@version</c>, the name of a checkpoint in the catalog; a tag stands in the place of the version.
/// Name: 1 to 128 characters of <c>a-z A-Z 0-9 . _ - /</c>; version: 1 to 64 of the same without <c>/</c>; both start with a letter or digit, no empty or dot-only parts.
/// </summary>
public sealed record CheckpointName
{
    private CheckpointName(string name, string version) => (Name, Version) = (name, version);

    public string Name { get; }

    public string Version { get; }

    /// <summary>Reads <c>name@version</c>; on failure <paramref name="problem"/> says why.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out CheckpointName? checkpoint, [NotNullWhen(false)] out string? problem) =>
        throw new NotImplementedException();

    public override string ToString() => $"{Name}@{Version}";
}
