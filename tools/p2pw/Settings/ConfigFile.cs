using System.Text.Json;
using P2PWeights.Client;

namespace P2PWeights.Cli.Settings;

/// <summary>
/// A configuration file: one JSON object whose keys are the names of settings. Values are strings, numbers or booleans; a list of strings stands for the
/// same with commas, an object of strings for <c>key=value</c> pairs with commas. Comments and trailing commas are allowed.
/// </summary>
internal sealed class ConfigFile
{
    private const int MaxBytes = 1 << 20;

    private ConfigFile(string path, IReadOnlyDictionary<string, string> values) => (Path, Values) = (path, values);

    public string Path { get; }

    public IReadOnlyDictionary<string, string> Values { get; }

    /// <exception cref="NodeException">Missing, too large, no JSON, a key twice, or a value of another kind.</exception>
    public static ConfigFile Read(string path)
    {
        try
        {
            using var stream = File.OpenRead(path);
            if (stream.Length > MaxBytes)
                throw Wrong(path, $"it is {stream.Length} bytes long, and a configuration has at most {MaxBytes}");
            using var document = JsonDocument.Parse(stream, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw Wrong(path, "it must be one JSON object, like { \"memory\": \"2GiB\" }");
            var values = new SortedDictionary<string, string>(StringComparer.Ordinal);
            foreach (var property in document.RootElement.EnumerateObject())
            {
                if (!values.TryAdd(property.Name, TextOf(path, property)))
                    throw Wrong(path, $"the key '{property.Name}' stands there twice");
            }

            return new ConfigFile(path, values);
        }
        catch (JsonException exception)
        {
            throw Wrong(path, $"it is not JSON: {exception.Message}", exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Wrong(path, $"it cannot be read: {exception.Message}", exception);
        }
    }

    private static string TextOf(string path, JsonProperty property) => property.Value.ValueKind switch
    {
        JsonValueKind.String => property.Value.GetString()!,
        JsonValueKind.Number => property.Value.GetRawText(),
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        JsonValueKind.Array when property.Value.EnumerateArray().All(IsString) => string.Join(',', property.Value.EnumerateArray().Select(item => item.GetString())),
        JsonValueKind.Object when property.Value.EnumerateObject().All(pair => IsString(pair.Value)) =>
            string.Join(',', property.Value.EnumerateObject().Select(pair => $"{pair.Name}={pair.Value.GetString()}")),
        _ => throw Wrong(path, $"the value of '{property.Name}' must be a string, a number, a boolean, or a list or object of strings"),
    };

    private static bool IsString(JsonElement element) => element.ValueKind == JsonValueKind.String;

    private static NodeException Wrong(string path, string why, Exception? inner = null) =>
        new(NodeError.Usage, $"configuration {path}: {why}. Nothing was started.", inner);
}
