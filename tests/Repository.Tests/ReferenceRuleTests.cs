using System.Reflection;
using System.Xml.Linq;

namespace P2PWeights.Repository.Tests;

public sealed class ReferenceRuleTests
{
    public static TheoryData<string> Projects() => [.. Layers.InOrder];

    [Fact]
    public void Every_project_of_src_has_its_place_in_the_rule() =>
        Assert.Equal(Layers.InOrder.Order(StringComparer.Ordinal), Repository.Files("src", "*.csproj").Select(Path.GetFileNameWithoutExtension).Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Projects))]
    public void Built_assembly_refers_to_the_right_only(string project)
    {
        const string Prefix = "P2PWeights.";
        var references = Assembly.Load(Prefix + project).GetReferencedAssemblies()
            .Select(reference => reference.Name!)
            .Where(name => name.StartsWith(Prefix, StringComparison.Ordinal));
        Assert.All(references, name => Assert.True(Layers.Allows(project, name[Prefix.Length..]), $"{project} -> {name}"));
    }

    [Theory]
    [MemberData(nameof(Projects))]
    public void Project_file_refers_to_the_right_only(string project)
    {
        var file = Path.Combine(Repository.Root, "src", project, project + ".csproj");
        var references = XDocument.Load(file).Descendants("ProjectReference")
            .Select(reference => Path.GetFullPath(reference.Attribute("Include")!.Value.Replace('\\', '/'), Path.GetDirectoryName(file)!));
        Assert.All(references, path =>
        {
            Assert.StartsWith(Path.Combine(Repository.Root, "src") + "/", path, StringComparison.Ordinal);
            Assert.True(Layers.Allows(project, Path.GetFileNameWithoutExtension(path)), $"{project} -> {Repository.Relative(path)}");
        });
    }

    [Fact]
    public void Rule_points_to_the_right()
    {
        Assert.True(Layers.Allows("Client", "Native"));
        Assert.True(Layers.Allows("Transfer", "Store"));
        Assert.False(Layers.Allows("Store", "Transfer"));
        Assert.False(Layers.Allows("Store", "Store"));
    }
}
