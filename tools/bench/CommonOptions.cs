using System.CommandLine;
using System.CommandLine.Parsing;
using P2PWeights.Store.Content;

namespace P2PWeights.Bench;

/// <summary>Options that every benchmark has.</summary>
internal static class CommonOptions
{
    /// <summary>The least for a median that one bad run does not move.</summary>
    private const int DefaultRuns = 7;

    public static Option<bool> Json { get; } = new("--json")
    {
        Description = "One line of JSON per figure on standard output; all else goes to standard error.",
        Recursive = true,
    };

    public static Option<int> Runs { get; } = CreateRuns();

    /// <summary>An option that takes sizes such as <c>64MiB</c>.</summary>
    public static Option<long[]> Sizes(string name, string description, params string[] defaults) => new(name)
    {
        Description = $"{description} Default: {string.Join(' ', defaults)}.",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => [.. defaults.Select(text => ByteSize.Parse(text))],
        CustomParser = result => [.. result.Tokens.Select(token => Parse(token.Value, result))],
    };

    /// <summary>An option that takes one such size.</summary>
    public static Option<long> Size(string name, string description, string fallback) => new(name)
    {
        Description = $"{description} Default: {fallback}.",
        DefaultValueFactory = _ => ByteSize.Parse(fallback),
        CustomParser = result => Parse(result.Tokens.Single().Value, result),
    };

    private static long Parse(string text, ArgumentResult result)
    {
        if (ByteSize.TryParse(text, out var bytes) && bytes > 0)
        {
            return bytes;
        }

        result.AddError($"'{text}' is not a size; write 4096, 512MiB or 1.5GB");
        return 0;
    }

    private static Option<int> CreateRuns()
    {
        var option = new Option<int>("--runs")
        {
            Description = $"Paired runs per figure, after one that does not count. Default: {DefaultRuns}.",
            DefaultValueFactory = _ => DefaultRuns,
            Recursive = true,
        };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() < 1)
            {
                result.AddError("--runs must be at least 1");
            }
        });
        return option;
    }
}
