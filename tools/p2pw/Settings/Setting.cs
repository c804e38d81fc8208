using System.CommandLine;

namespace P2PWeights.Cli.Settings;

/// <summary>
/// One setting of a serving command. Its name is the flag (<c>--upload-limit</c>), the key in the configuration file (<c>upload-limit</c>) and, in capitals
/// and with the command in front, the environment variable (<c>P2PW_NODE_UPLOAD_LIMIT</c>).
/// </summary>
internal abstract class Setting(string name, string valueName, string description, string? fallback, bool isSwitch)
{
    public string Name { get; } = name;

    /// <summary>What holds when nobody says anything; null when there is no default.</summary>
    public string? Fallback { get; } = fallback;

    public Option<string?> Option { get; } = new($"--{name}")
    {
        Description = fallback is null || isSwitch ? description : $"{description} Default: {fallback}.",
        HelpName = isSwitch ? "true|false" : valueName,
        // A switch is on when it is named without a value.
        Arity = isSwitch ? ArgumentArity.ZeroOrOne : ArgumentArity.ExactlyOne,
    };

    /// <summary>The environment variable within <paramref name="scope"/> (<c>NODE</c>, <c>TRACKER</c>).</summary>
    public string Variable(string scope) => $"P2PW_{scope}_{Capitals}";

    /// <summary>What somebody writes who forgets the command: no variable of ours.</summary>
    public string VariableWithoutScope => $"P2PW_{Capitals}";

    private string Capitals => Name.Replace('-', '_').ToUpperInvariant();

    /// <summary>Checks that the text can be read.</summary>
    /// <exception cref="FormatException">It cannot; the message says what is expected.</exception>
    public abstract void Check(string text);
}

/// <summary>A setting with its type.</summary>
/// <param name="name">Lower-case words with hyphens.</param>
/// <param name="valueName">What the help page calls the value.</param>
/// <param name="description">A sentence for the help page.</param>
/// <param name="parse">Reads the text; throws <see cref="FormatException"/> with a message for people.</param>
/// <param name="fallback">The default, as text.</param>
internal sealed class Setting<T>(string name, string valueName, string description, Func<string, T> parse, string? fallback = null)
    : Setting(name, valueName, description, fallback, isSwitch: typeof(T) == typeof(bool))
{
    /// <summary>The value that a text stands for.</summary>
    public T Parse(string text) => parse(text);

    public override void Check(string text) => parse(text);
}
