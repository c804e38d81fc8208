using P2PWeights.Native.Posix;
using P2PWeights.Store.Memory;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Memory;

public sealed class ArenaWarmerTests
{
    private const int Length = (48 << 20) + 4096;

    [Fact]
    public void Warmer_over_a_file_touches_all_of_it_and_changes_nothing()
    {
        using var folder = new TempFolder();
        var seeded = new Seeded();
        var bytes = seeded.Bytes(Length);
        File.WriteAllBytes(folder["arena"], bytes);
        using var file = File.OpenHandle(folder["arena"], FileMode.Open, FileAccess.ReadWrite);
        using var mapping = MemoryMapping.Create(file, 0, Length, writable: true, shared: true);

        var warmer = new ArenaWarmer(mapping);

        Assert.True(warmer.Wait(TimeSpan.FromSeconds(60)), "the warmer did not end");
        Assert.Equal(Length, warmer.WarmBytes);
        Assert.True(mapping.GetMemory(0, Length).Span.SequenceEqual(bytes), seeded.ToString());
    }

    [Fact]
    public void Warmer_stopped_lets_go_of_the_mapping()
    {
        using var folder = new TempFolder();
        using var file = File.OpenHandle(folder["arena"], FileMode.CreateNew, FileAccess.ReadWrite);
        RandomAccess.SetLength(file, 1L << 30);
        using var mapping = MemoryMapping.Create(file, 0, 1L << 30, writable: true, shared: true);

        var warmer = new ArenaWarmer(mapping);
        warmer.Stop();

        Assert.True(warmer.Wait(TimeSpan.Zero));
        Assert.InRange(warmer.WarmBytes, 0, 1L << 30);
    }
}
