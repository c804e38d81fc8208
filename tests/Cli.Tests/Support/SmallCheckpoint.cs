using System.Buffers.Binary;
using System.Text;
using P2PWeights.Testing;

namespace P2PWeights.Cli.Tests.Support;

/// <summary>A small checkpoint with what real ones have: safetensors of several shards, a small text, a folder, a hidden file, spaces and Unicode in names.</summary>
public static class SmallCheckpoint
{
    /// <summary>Writes it; the same seed and size make the same bytes.</summary>
    public static string Write(string folder, long bytes, int seed = 1)
    {
        var random = new Seeded(seed);
        Directory.CreateDirectory(Path.Combine(folder, "original weights"));
        File.WriteAllText(Path.Combine(folder, "config.json"), "{\"model_type\": \"small\"}");
        File.WriteAllText(Path.Combine(folder, ".hidden"), "x");
        File.WriteAllText(Path.Combine(folder, "Größe 重み.txt"), "Unicode");
        File.WriteAllBytes(Path.Combine(folder, "empty"), []);
        WriteSafetensors(Path.Combine(folder, "model.safetensors"), random.Bytes((int)(bytes / 2)));
        File.WriteAllBytes(Path.Combine(folder, "original weights", "consolidated.bin"), random.Bytes((int)(bytes - (bytes / 2))));
        return folder;
    }

    /// <summary>One U8 tensor of these bytes.</summary>
    public static void WriteSafetensors(string file, byte[] data) =>
        WriteSafetensors(file, $$$"""{"w":{"dtype":"U8","shape":[{{{data.Length}}}],"data_offsets":[0,{{{data.Length}}}]}}""", data);

    /// <summary>Any header, true or not.</summary>
    public static void WriteSafetensors(string file, string header, byte[] data)
    {
        var json = Encoding.UTF8.GetBytes(header);
        var length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, json.Length);
        File.WriteAllBytes(file, [.. length, .. json, .. data]);
    }

    /// <summary>Fails unless both folders hold the same files with the same bytes.</summary>
    public static void AssertSame(string expected, string actual)
    {
        Assert.Equal(Files(expected), Files(actual));
        foreach (var file in Files(expected))
            Assert.True(File.ReadAllBytes(Path.Combine(expected, file)).AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(actual, file))), $"{file} differs");
    }

    private static List<string> Files(string folder) =>
        [.. Directory.EnumerateFiles(folder, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0 }).Select(file => Path.GetRelativePath(folder, file)).Order(StringComparer.Ordinal)];
}
