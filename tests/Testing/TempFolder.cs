namespace P2PWeights.Testing;

/// <summary>A new folder for one test, removed with everything in it at the end.</summary>
public sealed class TempFolder : IDisposable
{
    private const string Prefix = "p2pw-test-";

    public TempFolder() => Path = Directory.CreateTempSubdirectory(Prefix).FullName;

    /// <param name="root">Where to make it: a file system that has what the test needs.</param>
    public TempFolder(string root) => Path = Directory.CreateDirectory(System.IO.Path.Combine(root, Prefix + System.IO.Path.GetRandomFileName())).FullName;

    public string Path { get; }

    /// <summary>A path inside the folder.</summary>
    public string this[string relative] => System.IO.Path.Combine(Path, relative);

    public void Dispose()
    {
        try
        {
            Directory.Delete(Path, recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
        }
    }
}
