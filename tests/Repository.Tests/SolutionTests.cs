namespace P2PWeights.Repository.Tests;

public sealed class SolutionTests
{
    [Fact]
    public void Every_project_is_in_the_solution()
    {
        var solution = File.ReadAllText(Path.Combine(Repository.Root, "P2PWeights.sln"));
        var projects = Repository.Files("", "*.csproj");
        Assert.True(projects.Count >= Layers.InOrder.Count, "no projects were found");
        Assert.All(projects, path => Assert.Contains($"\"{Repository.Relative(path).Replace('/', '\\')}\"", solution, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_package_version_stands_in_the_central_file() =>
        Assert.All(Repository.Files("", "*.csproj"), path =>
            Assert.DoesNotContain(
                System.Xml.Linq.XDocument.Load(path).Descendants("PackageReference"),
                reference => reference.Attribute("Version") is not null || reference.Attribute("VersionOverride") is not null));
}
