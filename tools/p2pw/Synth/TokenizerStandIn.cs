using System.Text.Json.Nodes;

namespace P2PWeights.Cli.Synth;

/// <summary>
/// The smallest tokenizer that the libraries accept: one token per byte and an end-of-text token. Its 256 letters are those of GPT-2's byte-level BPE:
/// printable Latin-1 stands for itself, every other byte for a letter from U+0100 on.
/// </summary>
internal static class TokenizerStandIn
{
    /// <summary>Id of the end-of-text token, behind the 256 bytes.</summary>
    public const int EndOfText = 256;

    /// <summary>Tokens.</summary>
    public const int Count = EndOfText + 1;

    private const string EndOfTextContent = "<|endoftext|>";

    /// <summary>tokenizer.json.</summary>
    public static JsonObject Tokenizer()
    {
        var vocabulary = new JsonObject();
        var replaced = 0;
        for (var b = 0; b < 256; b++)
        {
            var printable = b is (>= '!' and <= '~') or (>= 0xa1 and <= 0xac) or (>= 0xae and <= 0xff);
            vocabulary[((char)(printable ? b : 0x100 + replaced++)).ToString()] = b;
        }

        return new JsonObject
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = new JsonArray(new JsonObject
            {
                ["id"] = EndOfText,
                ["content"] = EndOfTextContent,
                ["single_word"] = false,
                ["lstrip"] = false,
                ["rstrip"] = false,
                ["normalized"] = false,
                ["special"] = true,
            }),
            ["normalizer"] = null,
            ["pre_tokenizer"] = ByteLevel(),
            ["post_processor"] = null,
            ["decoder"] = ByteLevel(),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["dropout"] = null,
                ["unk_token"] = null,
                ["continuing_subword_prefix"] = null,
                ["end_of_word_suffix"] = null,
                ["fuse_unk"] = false,
                ["byte_fallback"] = false,
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray(),
            },
        };
    }

    /// <summary>tokenizer_config.json.</summary>
    public static JsonObject TokenizerConfig() => new()
    {
        ["add_prefix_space"] = false,
        ["bos_token"] = null,
        ["clean_up_tokenization_spaces"] = false,
        ["eos_token"] = EndOfTextContent,
        ["model_max_length"] = 131072,
        ["pad_token"] = EndOfTextContent,
        ["tokenizer_class"] = "PreTrainedTokenizerFast",
    };

    private static JsonObject ByteLevel() => new()
    {
        ["type"] = "ByteLevel",
        ["add_prefix_space"] = false,
        ["trim_offsets"] = false,
        ["use_regex"] = false,
    };
}
