using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace P2PWeights.Cli.Synth;

/// <summary>One safetensors file to be written.</summary>
/// <param name="Name">File name.</param>
/// <param name="Header">The bytes in front of the data: length and padded JSON.</param>
/// <param name="Tensors">In the order of their data.</param>
internal sealed record SynthWeightFile(string Name, byte[] Header, ImmutableArray<SynthTensor> Tensors);

/// <summary>All that a synthetic checkpoint consists of, except the weights' values.</summary>
/// <param name="WeightFiles">Safetensors files.</param>
/// <param name="TextFiles">The other files, by name.</param>
internal sealed record SynthPlan(ImmutableArray<SynthWeightFile> WeightFiles, ImmutableSortedDictionary<string, byte[]> TextFiles)
{
    /// <summary>Share of the size that embedding and output have in models of this size.</summary>
    private const double EmbeddingShare = 0.15;

    /// <summary>Tokens of the real models, about: large checkpoints need no more.</summary>
    private const int UsualVocabulary = 130_000;

    /// <summary>Tokens of a tiny model: the tokenizer's own, and some room.</summary>
    private const int SmallestVocabulary = TokenizerStandIn.Count + 43;

    /// <summary>Weights are spread over about this many files, and a file is at most 5 GB: the limit that the transformers library uses.</summary>
    private const int WantedFiles = 6;
    private const long MaxFileBytes = 5_000_000_000;

    /// <summary>JSON around a tensor's name in the header, and in the index: what counts in small checkpoints.</summary>
    private const int HeaderBytesPerTensor = 75;
    private const int IndexBytesPerTensor = 50;

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Scales the layout to the size and lays out its files.</summary>
    /// <exception cref="SynthException">The size is too small.</exception>
    public static SynthPlan Fit(SynthLayout layout, long sizeBytes)
    {
        if (sizeBytes < SynthOptions.MinSizeBytes)
        {
            throw new SynthException($"a synthetic checkpoint has at least {SynthOptions.MinSizeBytes} bytes, not {sizeBytes}; give a larger --size");
        }

        // Layers come in steps, and the vocabulary takes what they leave: the largest layers that leave enough for it.
        for (var layerBytes = (double)sizeBytes; ; layerBytes *= 0.98)
        {
            ISynthArchitecture architecture = layout switch
            {
                SynthLayout.Qwen3 => Qwen3Architecture.Fit((long)layerBytes),
                SynthLayout.DeepSeekV3 => DeepSeekV3Architecture.Fit((long)layerBytes),
                _ => throw new ArgumentOutOfRangeException(nameof(layout)),
            };
            var vocabulary = (sizeBytes - EstimatedBytes(architecture, 0)) / architecture.BytesPerToken;
            if (vocabulary >= Math.Clamp(EmbeddingShare * sizeBytes / architecture.BytesPerToken, SmallestVocabulary, UsualVocabulary))
            {
                return LayOut(architecture, (int)vocabulary, Math.Min(MaxFileBytes, sizeBytes / WantedFiles));
            }
        }
    }

    private static long EstimatedBytes(ISynthArchitecture architecture, int vocabulary)
    {
        const int ConfigurationBytes = 8 << 10;
        return architecture.Tensors(vocabulary).Sum(t => t.Length + (2 * t.Name.Length) + HeaderBytesPerTensor + IndexBytesPerTensor) + ConfigurationBytes;
    }

    private static SynthPlan LayOut(ISynthArchitecture architecture, int vocabulary, long fileBytes)
    {
        var groups = Group(architecture.Tensors(vocabulary), fileBytes);
        var files = groups.Select((tensors, i) => WeightFile($"model-{i + 1:D5}-of-{groups.Count:D5}.safetensors", tensors)).ToImmutableArray();
        var texts = ImmutableSortedDictionary.CreateRange(
            StringComparer.Ordinal,
            new Dictionary<string, byte[]>
            {
                ["config.json"] = Json(architecture.Config(vocabulary)),
                ["generation_config.json"] = Json(GenerationConfig()),
                ["model.safetensors.index.json"] = Json(Index(files)),
                ["tokenizer.json"] = Json(TokenizerStandIn.Tokenizer()),
                ["tokenizer_config.json"] = Json(TokenizerStandIn.TokenizerConfig()),
            });
        return new SynthPlan(files, texts);
    }

    /// <summary>Consecutive tensors per file, a new file when the next tensor would take it over the limit.</summary>
    private static List<List<SynthTensor>> Group(IEnumerable<SynthTensor> tensors, long fileBytes)
    {
        var groups = new List<List<SynthTensor>> { new() };
        var bytes = 0L;
        foreach (var tensor in tensors)
        {
            if (bytes > 0 && bytes + tensor.Length > fileBytes)
            {
                groups.Add([]);
                bytes = 0;
            }

            groups[^1].Add(tensor);
            bytes += tensor.Length;
        }

        return groups;
    }

    /// <summary>A file as the safetensors library writes it: widest dtypes first, then by name, so that all data is aligned; JSON padded with spaces to 8 bytes.</summary>
    private static SynthWeightFile WeightFile(string name, List<SynthTensor> tensors)
    {
        var ordered = tensors.OrderBy(t => t.DType switch { "F32" => 0, "BF16" => 1, _ => 2 }).ThenBy(t => t.Name, StringComparer.Ordinal).ToImmutableArray();
        var json = new StringBuilder("""{"__metadata__":{"format":"pt"}""");
        var offset = 0L;
        foreach (var tensor in ordered)
        {
            json.Append(
                CultureInfo.InvariantCulture,
                $$""","{{tensor.Name}}":{"dtype":"{{tensor.DType}}","shape":[{{string.Join(',', tensor.Shape)}}],"data_offsets":[{{offset}},{{offset + tensor.Length}}]}""");
            offset += tensor.Length;
        }

        json.Append('}');
        json.Append(' ', -json.Length & 7);
        var header = new byte[8 + json.Length];
        BinaryPrimitives.WriteInt64LittleEndian(header, json.Length);
        Encoding.ASCII.GetBytes(json.ToString(), header.AsSpan(8));
        return new SynthWeightFile(name, header, ordered);
    }

    private static JsonObject Index(ImmutableArray<SynthWeightFile> files)
    {
        var weightMap = files.SelectMany(file => file.Tensors, (file, tensor) => (tensor.Name, File: file.Name)).OrderBy(pair => pair.Name, StringComparer.Ordinal);
        return new JsonObject
        {
            ["metadata"] = new JsonObject { ["total_size"] = files.Sum(file => file.Tensors.Sum(tensor => tensor.Length)) },
            ["weight_map"] = new JsonObject(weightMap.Select(pair => KeyValuePair.Create(pair.Name, (JsonNode?)pair.File))),
        };
    }

    private static JsonObject GenerationConfig() => new()
    {
        ["bos_token_id"] = TokenizerStandIn.EndOfText,
        ["do_sample"] = true,
        ["eos_token_id"] = TokenizerStandIn.EndOfText,
        ["temperature"] = 0.6,
        ["top_p"] = 0.95,
        ["transformers_version"] = "4.51.0",
    };

    private static byte[] Json(JsonObject json) => Encoding.UTF8.GetBytes(json.ToJsonString(Indented) + "\n");
}
