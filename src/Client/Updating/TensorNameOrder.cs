namespace P2PWeights.Client.Updating;

/// <summary>
/// Orders tensors as a model's layers follow each other: digits inside a name compare as the number that they write, everything else by UTF-16 code unit, so that layer 9
/// comes before layer 10. Names that differ only in leading zeros keep an order too.
/// </summary>
internal sealed class TensorNameOrder : IComparer<string>
{
    public static TensorNameOrder Instance { get; } = new();

    public int Compare(string? x, string? y)
    {
        var left = x.AsSpan();
        var right = y.AsSpan();
        while (left.Length > 0 && right.Length > 0)
        {
            if (char.IsAsciiDigit(left[0]) && char.IsAsciiDigit(right[0]))
            {
                var one = TakeNumber(ref left);
                var other = TakeNumber(ref right);
                var order = one.Length != other.Length ? one.Length.CompareTo(other.Length) : one.SequenceCompareTo(other);
                if (order != 0)
                {
                    return order;
                }
            }
            else if (left[0] != right[0])
            {
                return left[0].CompareTo(right[0]);
            }
            else
            {
                left = left[1..];
                right = right[1..];
            }
        }

        return left.Length != right.Length ? left.Length.CompareTo(right.Length) : string.CompareOrdinal(x, y);
    }

    /// <summary>The digits at the start without leading zeros, so that the longer number is the greater.</summary>
    private static ReadOnlySpan<char> TakeNumber(ref ReadOnlySpan<char> text)
    {
        var end = text.IndexOfAnyExceptInRange('0', '9');
        var digits = end < 0 ? text : text[..end];
        text = text[digits.Length..];
        return digits.TrimStart('0');
    }
}
