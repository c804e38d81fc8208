using System.Runtime.InteropServices;
using System.Text.Json;
using P2PWeights.Cli.Synth;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;
using P2PWeights.Testing;

namespace P2PWeights.Cli.Tests.Synth;

public sealed class SyntheticCheckpointTests
{
    private const long MiB = 1 << 20;

    public static TheoryData<string, long> LayoutsAndSizes { get; } = new()
    {
        { "qwen3", 1 * MiB },
        { "qwen3", 4 * MiB },
        { "qwen3", 17_000_000 },
        { "qwen3", 64 * MiB },
        { "deepseek-v3", 1 * MiB },
        { "deepseek-v3", 4 * MiB },
        { "deepseek-v3", 17_000_000 },
        { "deepseek-v3", 64 * MiB },
    };

    [Theory]
    [MemberData(nameof(LayoutsAndSizes))]
    public async Task Checkpoint_has_the_size_asked_for_and_the_tensors_that_its_index_names(string layout, long size)
    {
        using var folder = new TempFolder();
        var report = await WriteAsync(folder["model"], layout, size);

        var files = Directory.GetFiles(folder["model"]).Select(path => new FileInfo(path)).ToList();
        Assert.Equal(report.Bytes, files.Sum(file => file.Length));
        Assert.Equal(report.Files, files.Count);
        Assert.InRange(report.Bytes, 0.98 * size, 1.02 * size);
        Assert.InRange(report.WeightFiles, 2, 9);

        var index = ReadJson(folder["model/model.safetensors.index.json"]);
        var weightMap = index.GetProperty("weight_map").EnumerateObject().ToDictionary(p => p.Name, p => p.Value.GetString()!);
        var tensors = Headers(folder["model"]).SelectMany(file => file.Header.Tensors, (file, tensor) => (file.Name, Tensor: tensor)).ToList();
        Assert.Equal(report.Tensors, tensors.Count);
        Assert.Equal(weightMap.OrderBy(p => p.Key, StringComparer.Ordinal), tensors.ToDictionary(t => t.Tensor.Name, t => t.Name).OrderBy(p => p.Key, StringComparer.Ordinal));
        Assert.Equal(index.GetProperty("metadata").GetProperty("total_size").GetInt64(), tensors.Sum(t => t.Tensor.Length));
    }

    [Theory]
    [InlineData("qwen3", 128)]
    [InlineData("deepseek-v3", 256)]
    public async Task Second_version_differs_in_the_part_asked_for_and_nowhere_else(string layout, int sizeMiB)
    {
        using var folder = new TempFolder();
        Assert.True(SynthLayouts.TryParse(layout, out var parsed));
        var options = new SynthOptions(folder["v1"], sizeMiB * MiB, parsed.Value, Seed: 7);
        await SyntheticCheckpoint.WriteAsync(options, null, default);
        var report = await SyntheticCheckpoint.WriteAsync(options with { Folder = folder["v2"], Change = new SynthChange(0.1, 1) }, null, default);
        await SyntheticCheckpoint.WriteAsync(options with { Folder = folder["other"], Change = new SynthChange(0.1, 2) }, null, default);

        var changed = ChangedTensors("v1", "v2");
        Assert.InRange(changed.Sum(tensor => tensor.Length), 0.05 * report.Bytes, 0.1 * report.Bytes);
        Assert.All(changed, tensor => Assert.True(tensor.Length >= CuttingPlanner.LargeTensorBytes, tensor.Name));
        Assert.NotEqual(changed.Select(tensor => tensor.Name), ChangedTensors("v1", "other").Select(tensor => tensor.Name));

        List<SafetensorsTensor> ChangedTensors(string first, string second)
        {
            var differing = new List<SafetensorsTensor>();
            foreach (var (name, header) in Headers(folder[first]))
            {
                var (one, two) = (File.ReadAllBytes(folder[$"{first}/{name}"]), File.ReadAllBytes(folder[$"{second}/{name}"]));
                Assert.True(one.AsSpan(0, (int)header.DataOffset).SequenceEqual(two.AsSpan(0, (int)header.DataOffset)), $"the header of {name} differs");
                differing.AddRange(header.Tensors.Where(tensor =>
                    !one.AsSpan((int)tensor.Offset, (int)tensor.Length).SequenceEqual(two.AsSpan((int)tensor.Offset, (int)tensor.Length))));
            }

            return differing;
        }
    }

    [Theory]
    [InlineData(8L << 30)]
    [InlineData(64L << 30)]
    [InlineData(700_000_000_000)]
    public void Plan_of_a_large_checkpoint_keeps_to_the_size(long size)
    {
        foreach (var layout in Enum.GetValues<SynthLayout>())
        {
            var plan = SynthPlan.Fit(layout, size);
            var bytes = plan.TextFiles.Values.Sum(text => (long)text.Length) + plan.WeightFiles.Sum(file => file.Header.Length + file.Tensors.Sum(tensor => tensor.Length));
            Assert.InRange(bytes, 0.98 * size, 1.02 * size);
            Assert.All(plan.WeightFiles, file => Assert.InRange(file.Tensors.Sum(tensor => tensor.Length), 1, 20_000_000_000));
        }
    }

    [Fact]
    public async Task Qwen3_tensors_have_the_shapes_that_the_config_says()
    {
        using var folder = new TempFolder();
        await WriteAsync(folder["model"], "qwen3", 16 * MiB);
        var config = ReadJson(folder["model/config.json"]);
        long Of(string key) => config.GetProperty(key).GetInt64();
        var shapes = Shapes(folder["model"]);

        Assert.Equal("Qwen3ForCausalLM", config.GetProperty("architectures")[0].GetString());
        Assert.Equal([Of("vocab_size"), Of("hidden_size")], shapes["model.embed_tokens.weight"]);
        Assert.Equal([Of("vocab_size"), Of("hidden_size")], shapes["lm_head.weight"]);
        Assert.Equal([Of("hidden_size")], shapes["model.norm.weight"]);
        for (var layer = 0; layer < Of("num_hidden_layers"); layer++)
        {
            var prefix = $"model.layers.{layer}.";
            Assert.Equal([Of("num_attention_heads") * Of("head_dim"), Of("hidden_size")], shapes[prefix + "self_attn.q_proj.weight"]);
            Assert.Equal([Of("num_key_value_heads") * Of("head_dim"), Of("hidden_size")], shapes[prefix + "self_attn.k_proj.weight"]);
            Assert.Equal([Of("num_key_value_heads") * Of("head_dim"), Of("hidden_size")], shapes[prefix + "self_attn.v_proj.weight"]);
            Assert.Equal([Of("hidden_size"), Of("num_attention_heads") * Of("head_dim")], shapes[prefix + "self_attn.o_proj.weight"]);
            Assert.Equal([Of("head_dim")], shapes[prefix + "self_attn.q_norm.weight"]);
            Assert.Equal([Of("head_dim")], shapes[prefix + "self_attn.k_norm.weight"]);
            Assert.Equal([Of("intermediate_size"), Of("hidden_size")], shapes[prefix + "mlp.gate_proj.weight"]);
            Assert.Equal([Of("intermediate_size"), Of("hidden_size")], shapes[prefix + "mlp.up_proj.weight"]);
            Assert.Equal([Of("hidden_size"), Of("intermediate_size")], shapes[prefix + "mlp.down_proj.weight"]);
            Assert.Equal([Of("hidden_size")], shapes[prefix + "input_layernorm.weight"]);
            Assert.Equal([Of("hidden_size")], shapes[prefix + "post_attention_layernorm.weight"]);
        }

        Assert.Equal(3 + (11 * Of("num_hidden_layers")), shapes.Count);
        Assert.Equal(0, Of("num_attention_heads") % Of("num_key_value_heads"));
    }

    [Fact]
    public async Task DeepSeek_tensors_have_the_shapes_that_the_config_says()
    {
        using var folder = new TempFolder();
        await WriteAsync(folder["model"], "deepseek-v3", 16 * MiB);
        var config = ReadJson(folder["model/config.json"]);
        long Of(string key) => config.GetProperty(key).GetInt64();
        var shapes = Shapes(folder["model"]);

        Assert.Equal("DeepseekV3ForCausalLM", config.GetProperty("architectures")[0].GetString());
        var (hidden, heads, queryRank, keyValueRank) = (Of("hidden_size"), Of("num_attention_heads"), Of("q_lora_rank"), Of("kv_lora_rank"));
        var (nope, rope, value) = (Of("qk_nope_head_dim"), Of("qk_rope_head_dim"), Of("v_head_dim"));
        void IsQuantized(string name, long rows, long columns)
        {
            Assert.Equal([rows, columns], shapes[name + ".weight"]);
            Assert.Equal([(rows + 127) / 128, (columns + 127) / 128], shapes[name + ".weight_scale_inv"]);
        }

        for (var layer = 0; layer < Of("num_hidden_layers"); layer++)
        {
            var prefix = $"model.layers.{layer}.";
            IsQuantized(prefix + "self_attn.q_a_proj", queryRank, hidden);
            Assert.Equal([queryRank], shapes[prefix + "self_attn.q_a_layernorm.weight"]);
            IsQuantized(prefix + "self_attn.q_b_proj", heads * (nope + rope), queryRank);
            IsQuantized(prefix + "self_attn.kv_a_proj_with_mqa", keyValueRank + rope, hidden);
            Assert.Equal([keyValueRank], shapes[prefix + "self_attn.kv_a_layernorm.weight"]);
            IsQuantized(prefix + "self_attn.kv_b_proj", heads * (nope + value), keyValueRank);
            IsQuantized(prefix + "self_attn.o_proj", hidden, heads * value);
            if (layer < Of("first_k_dense_replace"))
            {
                IsQuantized(prefix + "mlp.down_proj", hidden, Of("intermediate_size"));
                continue;
            }

            Assert.Equal([Of("n_routed_experts"), hidden], shapes[prefix + "mlp.gate.weight"]);
            Assert.Equal([Of("n_routed_experts")], shapes[prefix + "mlp.gate.e_score_correction_bias"]);
            IsQuantized(prefix + "mlp.shared_experts.up_proj", Of("moe_intermediate_size"), hidden);
            for (var expert = 0; expert < Of("n_routed_experts"); expert++)
            {
                IsQuantized($"{prefix}mlp.experts.{expert}.gate_proj", Of("moe_intermediate_size"), hidden);
                IsQuantized($"{prefix}mlp.experts.{expert}.down_proj", hidden, Of("moe_intermediate_size"));
            }
        }

        Assert.True(Of("num_hidden_layers") > Of("first_k_dense_replace"), "there is no layer with experts");
        Assert.Equal(0, Of("n_routed_experts") % Of("n_group"));
    }

    [Theory]
    [InlineData("qwen3")]
    [InlineData("deepseek-v3")]
    public async Task Same_seed_gives_the_same_bytes_and_another_seed_others(string layout)
    {
        using var folder = new TempFolder();
        await WriteAsync(folder["a"], layout, 4 * MiB, seed: 7);
        await WriteAsync(folder["b"], layout, 4 * MiB, seed: 7);
        await WriteAsync(folder["c"], layout, 4 * MiB, seed: 8);

        foreach (var path in Directory.GetFiles(folder["a"]))
        {
            var name = Path.GetFileName(path);
            var digest = Blake3.Hash(await File.ReadAllBytesAsync(path));
            Assert.Equal(digest, Blake3.Hash(await File.ReadAllBytesAsync(folder["b/" + name])));
            var other = Blake3.Hash(await File.ReadAllBytesAsync(folder["c/" + name]));
            Assert.Equal(name.EndsWith(".safetensors", StringComparison.Ordinal), digest != other);
        }
    }

    [Theory]
    [InlineData("qwen3")]
    [InlineData("deepseek-v3")]
    public async Task No_two_tensors_or_blocks_of_weights_are_alike(string layout)
    {
        using var folder = new TempFolder();
        await WriteAsync(folder["model"], layout, 16 * MiB);
        var seen = new Dictionary<Digest, string>();
        foreach (var (file, header) in Headers(folder["model"]))
        {
            var bytes = await File.ReadAllBytesAsync(folder["model/" + file]);
            foreach (var tensor in header.Tensors.Where(tensor => tensor.Length >= 64))
            {
                for (var at = 0L; at + 64 <= tensor.Length; at += 64 << 10)
                {
                    var block = bytes.AsSpan((int)(tensor.Offset + at), (int)Math.Min(64 << 10, tensor.Length - at));
                    var place = $"{tensor.Name} at {at}";
                    Assert.True(seen.TryAdd(Blake3.Hash(block), place), $"{place} is {seen.GetValueOrDefault(Blake3.Hash(block))}");
                }
            }
        }
    }

    [Fact]
    public async Task Weights_are_normal_around_zero_and_norms_around_one()
    {
        using var folder = new TempFolder();
        await WriteAsync(folder["model"], "qwen3", 4 * MiB);
        foreach (var (file, header) in Headers(folder["model"]))
        {
            var bytes = await File.ReadAllBytesAsync(folder["model/" + file]);
            foreach (var tensor in header.Tensors.Where(tensor => tensor.Length >= 100_000))
            {
                var values = FromBF16(bytes.AsSpan((int)tensor.Offset, (int)tensor.Length));
                var mean = values.Average();
                var deviation = Math.Sqrt(values.Average(value => (value - mean) * (value - mean)));
                Assert.InRange(mean, -0.001, 0.001);
                Assert.InRange(deviation, 0.019, 0.021);
                Assert.InRange(values.Count(value => Math.Abs(value) < deviation) / (double)values.Length, 0.66, 0.70); // 68.3 % of a normal distribution
            }

            foreach (var tensor in header.Tensors.Where(tensor => tensor.Name.EndsWith("layernorm.weight", StringComparison.Ordinal)))
            {
                Assert.InRange(FromBF16(bytes.AsSpan((int)tensor.Offset, (int)tensor.Length)).Average(), 0.95, 1.05);
            }
        }
    }

    [Fact]
    public async Task FP8_weights_times_their_scales_have_the_deviation_of_real_ones()
    {
        using var folder = new TempFolder();
        await WriteAsync(folder["model"], "deepseek-v3", 16 * MiB);
        var (file, header) = Headers(folder["model"]).First(f => f.Header.Tensors.Any(t => t.DType == "F8_E4M3" && t.Length >= 100_000));
        var bytes = await File.ReadAllBytesAsync(folder["model/" + file]);
        var weight = header.Tensors.First(t => t.DType == "F8_E4M3" && t.Length >= 100_000);
        var scale = header.Tensors.First(t => t.DType == "F32" && t.Name.EndsWith("scale_inv", StringComparison.Ordinal));

        var scales = MemoryMarshal.Cast<byte, float>(bytes.AsSpan((int)scale.Offset, (int)scale.Length)).ToArray();
        var values = bytes.AsSpan((int)weight.Offset, (int)weight.Length).ToArray().Select(FromE4M3).ToArray();
        Assert.All(values, value => Assert.True(double.IsFinite(value)));
        Assert.All(scales, value => Assert.InRange(value, 1e-5, 1e-3));
        Assert.InRange(Math.Sqrt(values.Average(value => value * value)) * scales.Average(), 0.017, 0.023);
    }

    [Fact]
    public async Task Header_is_what_the_safetensors_library_writes()
    {
        using var folder = new TempFolder();
        await WriteAsync(folder["model"], "qwen3", 1 * MiB);
        var bytes = await File.ReadAllBytesAsync(Directory.GetFiles(folder["model"], "*.safetensors")[0]);
        var length = BitConverter.ToInt64(bytes);
        Assert.Equal(0, length % 8);
        Assert.StartsWith("""{"__metadata__":{"format":"pt"},""", System.Text.Encoding.UTF8.GetString(bytes, 8, (int)length), StringComparison.Ordinal);
        Assert.Contains((char)bytes[8 + length - 1], "} ");
    }

    [Fact]
    public async Task Folder_that_is_not_empty_is_refused_and_left_alone()
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["mine.txt"], "mine");
        var e = await Assert.ThrowsAsync<SynthException>(() => WriteAsync(folder.Path, "qwen3", 4 * MiB));
        Assert.Contains("not empty", e.Message, StringComparison.Ordinal);
        Assert.Equal([folder["mine.txt"]], Directory.GetFileSystemEntries(folder.Path));
        await Assert.ThrowsAsync<SynthException>(() => WriteAsync(folder["mine.txt"], "qwen3", 4 * MiB));
    }

    [Fact]
    public async Task Size_below_the_minimum_is_refused()
    {
        using var folder = new TempFolder();
        await Assert.ThrowsAsync<SynthException>(() => WriteAsync(folder["model"], "qwen3", MiB - 1));
        Assert.False(Directory.Exists(folder["model"]));
    }

    [Fact]
    public async Task Cancelled_write_leaves_nothing_behind()
    {
        using var folder = new TempFolder();
        using var stop = new CancellationTokenSource();
        var progress = new CancelAfter(1 * MiB, stop);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            SyntheticCheckpoint.WriteAsync(new SynthOptions(folder["model"], 32 * MiB), progress, stop.Token));
        Assert.False(Directory.Exists(folder["model"]));
    }

    private static Task<SynthReport> WriteAsync(string folder, string layout, long size, long seed = 1)
    {
        Assert.True(SynthLayouts.TryParse(layout, out var parsed));
        return SyntheticCheckpoint.WriteAsync(new SynthOptions(folder, size, parsed.Value, seed), progress: null, CancellationToken.None);
    }

    private static IEnumerable<(string Name, SafetensorsHeader Header)> Headers(string folder)
    {
        foreach (var path in Directory.GetFiles(folder, "*.safetensors").Order(StringComparer.Ordinal))
        {
            using var file = File.OpenHandle(path);
            yield return (Path.GetFileName(path), SafetensorsHeader.Read(file, RandomAccess.GetLength(file)));
        }
    }

    private static Dictionary<string, long[]> Shapes(string folder) =>
        Headers(folder).SelectMany(file => file.Header.Tensors).ToDictionary(tensor => tensor.Name, tensor => tensor.Shape.ToArray());

    private static JsonElement ReadJson(string path)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(path));
        return document.RootElement.Clone();
    }

    private static float[] FromBF16(ReadOnlySpan<byte> bytes)
    {
        var values = new float[bytes.Length / 2];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = BitConverter.UInt32BitsToSingle((uint)BitConverter.ToUInt16(bytes[(2 * i)..]) << 16);
        }

        return values;
    }

    private static double FromE4M3(byte value)
    {
        var (exponent, mantissa) = ((value >> 3) & 15, value & 7);
        if (exponent == 15 && mantissa == 7)
        {
            return double.NaN;
        }

        var magnitude = exponent == 0 ? Math.ScaleB(mantissa, -9) : Math.ScaleB(8 + mantissa, exponent - 10);
        return value >= 0x80 ? -magnitude : magnitude;
    }

    private sealed class CancelAfter(long bytes, CancellationTokenSource stop) : IProgress<long>
    {
        public void Report(long value)
        {
            if (value >= bytes)
            {
                stop.Cancel();
            }
        }
    }
}
