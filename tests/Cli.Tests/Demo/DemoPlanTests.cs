using P2PWeights.Cli.Demo;
using P2PWeights.Client;
using P2PWeights.Testing;

namespace P2PWeights.Cli.Tests.Demo;

public sealed class DemoPlanTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Space_that_suffices_is_told()
    {
        var plan = new DemoPlan(null, 512L << 20, 3);

        Assert.Contains("/tmp", plan.CheckSpace("/tmp", plan.DiskBytes, plan.SharedMemoryBytes), StringComparison.Ordinal);
    }

    [Fact]
    public void Checkpoint_that_exists_needs_one_copy_less() =>
        Assert.Equal((512L + 16) << 20, new DemoPlan(null, 512L << 20, 3).DiskBytes - new DemoPlan("/x", 512L << 20, 3).DiskBytes);

    [Fact]
    public void Disk_that_is_too_small_is_refused_before_anything_is_made()
    {
        var plan = new DemoPlan(null, 512L << 20, 3);

        var exception = Assert.Throws<NodeException>(() => plan.CheckSpace("/small", plan.DiskBytes - 1, long.MaxValue));

        Assert.Equal(NodeError.DiskFull, exception.Error);
        Assert.Contains("/small", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1L)]
    [InlineData(null)]
    public void Shared_memory_that_is_too_small_is_refused(long? free) =>
        Assert.Contains("/dev/shm", Assert.Throws<NodeException>(() => new DemoPlan(null, 1, 3).CheckSpace("/tmp", long.MaxValue, free)).Message, StringComparison.Ordinal);

    [Fact]
    public void Engines_are_left_out_when_memory_is_short()
    {
        var plan = new DemoPlan(null, 512L << 20, 3);

        Assert.Null(plan.NoEngines(plan.EngineBytes));
        Assert.Null(plan.NoEngines(null));
        Assert.Contains("are free", plan.NoEngines(plan.EngineBytes - 1), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/tmp/p2pw-demo-123-Ab9xYz", 123)]
    [InlineData("/tmp/p2pw-demo-123", null)]
    [InlineData("/tmp/p2pw-demo-x-y", null)]
    [InlineData("/tmp/other-123-y", null)]
    public void Folder_names_the_process_that_made_it(string folder, int? owner) => Assert.Equal(owner, Workspace.OwnerOf(folder));

    [Fact]
    public void Folder_of_a_dead_demo_is_removed_by_the_next()
    {
        // No process has this id: the kernel's largest is 2^22 (proc(5), pid_max).
        var abandoned = Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), $"p2pw-demo-{(1 << 22) + 1}-test{Random.Shared.Next()}"));
        File.WriteAllText(Path.Combine(abandoned.FullName, "file"), "x");

        using (var workspace = Workspace.Create())
        {
            Assert.True(Directory.Exists(workspace.Path));
            Assert.False(Directory.Exists(abandoned.FullName));
        }
    }

    [Theory]
    [InlineData("same", "same", null)]
    [InlineData("abc", "abX", "differs at byte 2")]
    [InlineData("abc", "abcd", "has 4 bytes, not 3")]
    [InlineData("abc", null, "is missing")]
    [InlineData(null, "abc", "was never published")]
    public void Comparison_names_the_first_difference(string? expected, string? actual, string? difference)
    {
        foreach (var (folder, text) in new[] { ("expected", expected), ("actual", actual) })
        {
            Directory.CreateDirectory(_folder[$"{folder}/sub"]);
            if (text is not null)
                File.WriteAllText(_folder[$"{folder}/sub/.file"], text);
        }

        var found = FolderComparison.FirstDifference(_folder["expected"], _folder["actual"], CancellationToken.None);

        if (difference is null)
            Assert.Null(found);
        else
            Assert.Contains(difference, found, StringComparison.Ordinal);
    }

    [Fact]
    public void Comparison_finds_one_flipped_bit_in_megabytes()
    {
        var random = new Seeded();
        var bytes = random.Bytes((3 << 20) + 17);
        Directory.CreateDirectory(_folder["a"]);
        Directory.CreateDirectory(_folder["b"]);
        File.WriteAllBytes(_folder["a/file"], bytes);
        var place = random.Random.Next(bytes.Length);
        bytes[place] ^= 1;
        File.WriteAllBytes(_folder["b/file"], bytes);

        Assert.EndsWith($"differs at byte {place}", FolderComparison.FirstDifference(_folder["a"], _folder["b"], CancellationToken.None), StringComparison.Ordinal);
    }
}
