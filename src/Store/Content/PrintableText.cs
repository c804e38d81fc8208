namespace P2PWeights.Store.Content;

/// <summary>Text from outside as it may stand in a message for people.</summary>
internal static class PrintableText
{
    private const int MaxLength = 120;

    /// <summary>The text in quotes, cut to a length that a line can hold, without characters that could move a terminal's cursor.</summary>
    public static string Quote(string text)
    {
        var shown = text.Length <= MaxLength ? text : text[..MaxLength];
        shown = string.Concat(shown.Select(c => char.IsControl(c) || char.IsSurrogate(c) ? '?' : c));
        return text.Length <= MaxLength ? $"'{shown}'" : $"'{shown}...' ({text.Length} characters)";
    }
}
