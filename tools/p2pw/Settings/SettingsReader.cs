using System.Collections;
using System.CommandLine;
using P2PWeights.Client;

namespace P2PWeights.Cli.Settings;

/// <summary>A setting as it holds now, and who said so.</summary>
/// <param name="Name">Name.</param>
/// <param name="Value">Text; null when nobody set it and there is no default.</param>
/// <param name="Source"><c>--flag</c>, variable, file, or <c>default</c>.</param>
internal sealed record EffectiveSetting(string Name, string? Value, string Source);

/// <summary>
/// Finds the value of each setting: flag before environment before file before default. What cannot be read and what nobody knows (a misspelt key or variable)
/// is an error; all of them are reported together.
/// </summary>
internal sealed class SettingsReader
{
    private const string Default = "default";

    private readonly Dictionary<string, EffectiveSetting> _effective;

    /// <param name="scope"><c>NODE</c> or <c>TRACKER</c>: the middle of the environment variables.</param>
    /// <param name="known">Every setting there is.</param>
    /// <param name="flags">The command line; null when there is none to look at.</param>
    /// <param name="environment">Environment variables.</param>
    /// <param name="file">Configuration file, or null.</param>
    /// <exception cref="NodeException"><see cref="NodeError.Usage"/>: the message lists every fault.</exception>
    public SettingsReader(
        string scope, IReadOnlyList<Setting> known, ParseResult? flags, IReadOnlyDictionary<string, string> environment, ConfigFile? file)
    {
        List<string> faults = [];
        _effective = known.ToDictionary(setting => setting.Name, setting => Find(scope, setting, flags, environment, file));
        foreach (var setting in known)
        {
            var effective = _effective[setting.Name];
            try
            {
                if (effective.Value is not null)
                    setting.Check(effective.Value);
            }
            catch (FormatException exception)
            {
                faults.Add($"{setting.Name} (from {effective.Source}): {exception.Message}.");
            }
        }

        var variables = known.Select(setting => setting.Variable(scope)).ToHashSet(StringComparer.Ordinal);
        faults.AddRange(environment.Keys.Where(name => name.StartsWith($"P2PW_{scope}_", StringComparison.Ordinal) && !variables.Contains(name)).Order(StringComparer.Ordinal)
            .Select(name => $"environment variable {name}: there is no such setting."));
        faults.AddRange(known.Where(setting => environment.ContainsKey(setting.VariableWithoutScope))
            .Select(setting => $"environment variable {setting.VariableWithoutScope}: there is no such setting; {setting.Name} is {setting.Variable(scope)}."));
        faults.AddRange(file?.Values.Keys.Where(key => !_effective.ContainsKey(key))
            .Select(key => $"configuration {file.Path}: there is no setting '{key}'. Known: {string.Join(", ", known.Select(setting => setting.Name))}.") ?? []);
        if (faults.Count > 0)
            throw new NodeException(NodeError.Usage, string.Join('\n', faults) + "\nNothing was started.");
    }

    /// <summary>All settings as they hold, in the order of their declaration.</summary>
    public IReadOnlyCollection<EffectiveSetting> Effective => _effective.Values;

    /// <summary>The process's environment as a dictionary.</summary>
    public static IReadOnlyDictionary<string, string> Environment() =>
        System.Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().ToDictionary(entry => (string)entry.Key, entry => (string?)entry.Value ?? "", StringComparer.Ordinal);

    /// <summary>Whether somebody set it: what holds is not merely the default.</summary>
    public bool IsSet(Setting setting) => _effective[setting.Name].Source != Default;

    /// <summary>The value of a setting that has one or a default.</summary>
    /// <exception cref="NodeException">Nobody set it.</exception>
    public T Required<T>(Setting<T> setting) => _effective[setting.Name].Value is { } text
        ? setting.Parse(text)
        : throw new NodeException(NodeError.Usage, $"{setting.Option.Name} is required. Nothing was started.");

    /// <summary>The value of a setting; default when nobody set it.</summary>
    public T? Optional<T>(Setting<T> setting) => _effective[setting.Name].Value is { } text ? setting.Parse(text) : default;

    private static EffectiveSetting Find(
        string scope, Setting setting, ParseResult? flags, IReadOnlyDictionary<string, string> environment, ConfigFile? file)
    {
        if (flags?.GetResult(setting.Option) is { Implicit: false } flag)
            return new(setting.Name, flag.GetValueOrDefault<string?>() ?? "true", setting.Option.Name);
        if (environment.TryGetValue(setting.Variable(scope), out var variable))
            return new(setting.Name, variable, setting.Variable(scope));
        if (file is not null && file.Values.TryGetValue(setting.Name, out var value))
            return new(setting.Name, value, file.Path);
        return new(setting.Name, setting.Fallback, Default);
    }
}
