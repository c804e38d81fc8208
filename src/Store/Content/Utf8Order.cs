namespace P2PWeights.Store.Content;

/// <summary>
/// Orders strings as their UTF-8 bytes, which is the order of their code points. UTF-16 order, .NET's ordinal one, differs beyond U+D7FF, and a format
/// that other languages write must not depend on it.
/// </summary>
internal sealed class Utf8Order : IComparer<string>
{
    public static Utf8Order Instance { get; } = new();

    public int Compare(string? x, string? y)
    {
        var left = x.AsSpan();
        var right = y.AsSpan();
        var common = left.CommonPrefixLength(right);
        return common == left.Length || common == right.Length
            ? left.Length.CompareTo(right.Length)
            : Rank(left[common]).CompareTo(Rank(right[common]));
    }

    // Surrogates stand for code points above all others, so they go behind U+E000..U+FFFF.
    private static int Rank(char c) => char.IsSurrogate(c) ? c + 0x10000 : c;
}
