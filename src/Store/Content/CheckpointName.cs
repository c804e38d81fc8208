using System.Buffers;
using System.Diagnostics.CodeAnalysis;

namespace P2PWeights.Store.Content;

/// <summary>
/// <c>name@version</c>, the name of a checkpoint in the catalog; a tag stands in the place of the version.
/// Name: 1 to 128 characters of <c>a-z A-Z 0-9 . _ - /</c>; version: 1 to 64 of the same without <c>/</c>; both start with a letter or digit, no empty or dot-only parts.
/// </summary>
public sealed record CheckpointName
{
    /// <summary>Longest name, in characters.</summary>
    public const int MaxNameLength = 128;

    /// <summary>Longest version or tag, in characters.</summary>
    public const int MaxVersionLength = 64;

    private static readonly SearchValues<char> Allowed =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    private CheckpointName(string name, string version) => (Name, Version) = (name, version);

    public string Name { get; }

    public string Version { get; }

    /// <summary>Reads <c>name@version</c>; on failure <paramref name="problem"/> says why.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out CheckpointName? checkpoint, [NotNullWhen(false)] out string? problem)
    {
        checkpoint = null;
        var at = text.IndexOf('@', StringComparison.Ordinal);
        if (at < 0)
        {
            problem = "a checkpoint is written name@version, for example qwen3-8b@step-1000; there is no @";
            return false;
        }

        var name = text[..at];
        var version = text[(at + 1)..];
        problem = NameProblem(name) ?? VersionProblem(version);
        if (problem is not null)
        {
            return false;
        }

        checkpoint = new CheckpointName(name, version);
        return true;
    }

    /// <summary>Null when <paramref name="name"/> can be the name of checkpoints, else the reason it cannot.</summary>
    public static string? NameProblem(string name)
    {
        if (name.Length is 0 or > MaxNameLength)
        {
            return name.Length == 0 ? "the name is empty" : $"the name has {name.Length} characters, at most {MaxNameLength} are allowed";
        }

        foreach (var part in name.Split('/'))
        {
            if (PartProblem(part) is { } problem)
            {
                return $"the name {PrintableText.Quote(name)} {problem}";
            }
        }

        return char.IsAsciiLetterOrDigit(name[0]) ? null : $"the name '{name}' must start with a letter or digit";
    }

    /// <summary>Null when <paramref name="version"/> can be a version or a tag, else the reason it cannot.</summary>
    public static string? VersionProblem(string version)
    {
        if (version.Length is 0 or > MaxVersionLength)
        {
            return version.Length == 0 ? "the version is empty" : $"the version has {version.Length} characters, at most {MaxVersionLength} are allowed";
        }

        if (PartProblem(version) is { } problem)
        {
            return $"the version {PrintableText.Quote(version)} {problem}";
        }

        return char.IsAsciiLetterOrDigit(version[0]) ? null : $"the version '{version}' must start with a letter or digit";
    }

    public override string ToString() => $"{Name}@{Version}";

    private static string? PartProblem(string part)
    {
        if (part.Length == 0)
        {
            return "has an empty part";
        }

        var wrong = part.AsSpan().IndexOfAnyExcept(Allowed);
        if (wrong >= 0)
        {
            return $"has {Describe(part[wrong])}, where only a-z A-Z 0-9 . _ - may stand (and / in names)";
        }

        return part.AsSpan().IndexOfAnyExcept('.') < 0 ? "has a part of dots only" : null;
    }

    private static string Describe(char c) => char.IsControl(c) || char.IsSurrogate(c) ? $"the character U+{(int)c:X4}" : $"the character '{c}'";
}
