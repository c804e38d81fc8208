using System.Text.RegularExpressions;

namespace P2PWeights.Repository.Tests;

public sealed partial class SourceTests
{
    private static readonly string[] TextEndings = [".cs", ".csproj", ".props", ".sln", ".md", ".json", ".c", ".py", ".sh", ".yml", ".editorconfig", ".gitignore", ""];

    [Fact]
    public void Namespaces_are_folders()
    {
        var files = Repository.Files("src", "*.cs").Concat(Repository.Files("tests", "*.cs")).ToList();
        Assert.NotEmpty(files);
        Assert.All(files, path =>
        {
            if (Namespace().Match(File.ReadAllText(path)) is { Success: true } declared)
            {
                var folders = Repository.Relative(Path.GetDirectoryName(path)!).Split('/')[1..];
                Assert.True($"P2PWeights.{string.Join('.', folders)}" == declared.Groups[1].Value, $"{Repository.Relative(path)} is in namespace {declared.Groups[1].Value}");
            }
        });
    }

    [Fact]
    public void Nothing_is_left_unfinished()
    {
        // In two parts, so that this file does not find itself.
        string[] marks = ["NotImplemented" + "Exception", "TO" + "DO", "FIX" + "ME", "HA" + "CK"];
        Assert.All(Repository.Files("", "*.cs"), path =>
        {
            var text = File.ReadAllText(path);
            Assert.All(marks, mark => Assert.False(text.Contains(mark, StringComparison.Ordinal), $"{Repository.Relative(path)} holds {mark}"));
        });
    }

    [Fact]
    public void No_text_names_the_machine_it_was_written_on()
    {
        var texts = Repository.Files("", "*").Where(path => TextEndings.Contains(Path.GetExtension(path))).ToList();
        Assert.Contains(texts, path => path.EndsWith(".editorconfig", StringComparison.Ordinal));
        Assert.All(texts, path =>
        {
            var match = MachinePath().Match(File.ReadAllText(path));
            Assert.False(match.Success, $"{Repository.Relative(path)} holds {match.Value}");
        });
    }

    /// <summary>xUnit 2 asks a class for <c>IDisposable</c> and <c>IAsyncLifetime</c>, and takes down none that is only <c>IAsyncDisposable</c>: what it made would stay.</summary>
    [Fact]
    public void Test_classes_are_taken_down() => Assert.All(Repository.Files("tests", "*Tests.cs"), path =>
    {
        var declared = TestClass().Match(File.ReadAllText(path));
        Assert.False(declared.Groups[1].Value.Contains("IAsyncDisposable", StringComparison.Ordinal), $"{Repository.Relative(path)}: {declared.Value}");
    });

    [GeneratedRegex(@"^public (?:sealed |abstract |partial )*class \w+Tests(.*)$", RegexOptions.Multiline)]
    private static partial Regex TestClass();

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    // Folders of a person or a workplace; system paths such as /dev/shm or /run are the same everywhere.
    [GeneratedRegex(@"(?<![\w.~-])/(home/\w+|root|work|workspace|Users/\w+|tmp/wt)/[\w.]|[A-Z]:\\Users\\")]
    private static partial Regex MachinePath();
}
