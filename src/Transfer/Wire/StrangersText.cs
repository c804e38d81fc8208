namespace P2PWeights.Transfer.Wire;

/// <summary>Text of a stranger goes to logs and terminals: cut, and without control characters.</summary>
internal static class StrangersText
{
    public static string Clean(string text, int maxLength)
    {
        var cut = text.Length <= maxLength ? text : text[..maxLength];
        return cut.Any(char.IsControl) ? string.Concat(cut.Select(c => char.IsControl(c) ? '?' : c)) : cut;
    }
}
