using P2PWeights.Store.Content;

namespace P2PWeights.Store.Tests.Content;

public sealed class ManifestPathTests
{
    public static TheoryData<string> Allowed { get; } =
    [
        "config.json",
        "model-00001-of-00002.safetensors",
        "a/b/c.bin",
        ".gitattributes",
        ".hidden/.file",
        "with spaces/and more .txt",
        " leading and trailing ",
        "...",
        "..a",
        "a..",
        "a..b/c",
        ".a",
        "-rf",
        "~",
        "$HOME",
        "12:30",
        "ab:/c",
        "模型/权重.safetensors",
        "é",
        "e\u0301",
        "\U0001F600/\U0001F680.bin",
        "*?<>|\"'",
        "%2e%2e/a",
        "con",
        new string('a', 200),
        string.Join('/', Enumerable.Repeat("d", 32)),
        string.Join('/', Enumerable.Repeat(new string('a', 200), 5)),
    ];

    /// <summary>Families of hostile paths, more than a hundred in all.</summary>
    private static readonly string[] Forbidden =
    [
        .. new[] { "", "/", "//", "/etc/passwd", "//host/share", "a//b", "a/", "/a", "a/b//", "\\", "\\\\host\\share", "a\\b", "..\\a", "a\\..\\b" },

        // Dot parts in every place.
        .. new[] { ".", ".." }.SelectMany(dots => new[] { dots, $"{dots}/a", $"a/{dots}", $"a/{dots}/b", $"a/b/{dots}/{dots}/c", $"./{dots}", $"{dots}/", $"/{dots}" }),
        .. Enumerable.Range(1, 20).Select(depth => string.Concat(Enumerable.Repeat("../", depth)) + "etc/passwd"),
        .. Enumerable.Range(1, 5).Select(depth => "a/" + string.Concat(Enumerable.Repeat("../", depth + 1)) + "x"),

        // Every control character, at the start, inside and at the end.
        .. Enumerable.Range(0, 0x20).Append(0x7f).Concat(Enumerable.Range(0x80, 0x20)).Select(c => $"a{(char)c}b"),
        .. new[] { 0, 7, 10, 13, 27 }.SelectMany(c => new[] { $"{(char)c}", $"{(char)c}a", $"a{(char)c}", $"a/{(char)c}/b" }),

        // Drive letters.
        .. new[] { "C:", "c:", "Z:a", "a:b", "C:/Windows", "c:\\Windows", "d:/../x" },

        // Halves of surrogate pairs.
        .. new[] { "\ud800", "\udc00", "a\ud800", "\ud800a", "\udc00\ud800", "a/\ud83d/b", "\ud83d\ud83d\ude00" },

        // Lengths, in bytes and not in characters.
        .. new[]
        {
            new string('a', 201),
            "ok/" + new string('a', 201),
            new string('é', 101),
            string.Concat(Enumerable.Repeat("\U0001F600", 51)),
            string.Join('/', Enumerable.Repeat(new string('a', 200), 6)),
            string.Join('/', Enumerable.Repeat("d", 33)),
            new string('/', 2000),
            new string('a', 1_000_000),
        },
    ];

    [Theory]
    [MemberData(nameof(Allowed))]
    public void Path_that_a_checkpoint_may_have_is_accepted(string path) => Assert.Null(ManifestPath.Problem(path));

    [Fact]
    public void Hostile_path_is_refused_with_a_reason_that_is_safe_to_print()
    {
        Assert.InRange(Forbidden.Length, 100, int.MaxValue);
        foreach (var path in Forbidden)
        {
            var problem = ManifestPath.Problem(path);
            Assert.True(problem is not null, $"{Convert.ToHexString(System.Text.Encoding.Unicode.GetBytes(path))} was accepted");
            Assert.DoesNotContain(problem, char.IsControl);
            Assert.InRange(problem.Length, 1, 300);
        }
    }

    [Theory]
    [InlineData("a", "a", "stands twice")]
    [InlineData("d/a", "d/a", "stands twice")]
    [InlineData("a", "A", "upper and lower case")]
    [InlineData("d/a", "D/b", "upper and lower case")]
    [InlineData("d/x/a", "d/X", "upper and lower case")]
    [InlineData("ÄÖ", "äö", "upper and lower case")]
    [InlineData("σ", "ς", "upper and lower case")]
    [InlineData("k", "\u212a", "upper and lower case")] // the Kelvin sign
    [InlineData("a", "a/b", "is a file, and a folder")]
    [InlineData("a/b/c", "a/b", "is a file, and a folder")]
    public void Paths_that_cannot_stand_together_are_refused_in_either_order(string first, string second, string reason)
    {
        Assert.Contains(reason, ManifestPath.Collision([first, "other", second]), StringComparison.Ordinal);
        Assert.Contains(reason, ManifestPath.Collision([second, first]), StringComparison.Ordinal);
    }

    [Fact]
    public void Paths_that_only_resemble_each_other_are_accepted() =>
        Assert.Null(ManifestPath.Collision(["a", "ab", "a.b", "d/a", "d/b", "e/a", "da", "ä", "a\u0308"]));
}
