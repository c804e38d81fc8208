using System.Text.RegularExpressions;

namespace P2PWeights.Repository.Tests;

public sealed partial class DocsTests
{
    private static readonly IReadOnlyList<string> Pages = [.. Repository.Files("docs", "*.md"), .. Directory.GetFiles(Repository.Root, "*.md")];

    /// <summary>A page that names `ShardStore` goes stale when the type is renamed; then this fails.</summary>
    [Fact]
    public void Names_in_code_marks_exist_in_the_source()
    {
        var identifiers = Repository.Files("", "*.cs").SelectMany(path => Identifier().Matches(File.ReadAllText(path)).Select(match => match.Value)).ToHashSet();
        Assert.Contains("ShardStore", identifiers);
        Assert.NotEmpty(Pages);
        Assert.All(Pages, page =>
            Assert.All(TypeLike().Matches(File.ReadAllText(page)), match =>
                Assert.All(match.Groups[1].Value.Split('.'), name =>
                    Assert.True(identifiers.Contains(name), $"{Repository.Relative(page)} names `{match.Groups[1].Value}`, which no source file does"))));
    }

    [Fact]
    public void Relative_links_lead_to_files() =>
        Assert.All(Pages, page => Assert.All(Link().Matches(File.ReadAllText(page)), match =>
        {
            var target = Path.GetFullPath(match.Groups[1].Value, Path.GetDirectoryName(page)!);
            Assert.True(Path.Exists(target), $"{Repository.Relative(page)} links to {match.Groups[1].Value}, which is not there");
        }));

    [GeneratedRegex(@"\w+")]
    private static partial Regex Identifier();

    // Two humps at least (ShardStore, ITransferPath, ShardStore.LeaseAsync): one hump is an ordinary word as often as a type.
    [GeneratedRegex(@"`((?:I?[A-Z][a-z0-9]+){2,}(?:\.(?:[A-Z][a-z0-9]+)+)*)`")]
    private static partial Regex TypeLike();

    [GeneratedRegex(@"\]\((?![a-z]+:|#)([^)#\s]+)")]
    private static partial Regex Link();
}
