using System.Collections.Immutable;

namespace P2PWeights.Client.Updating.Verifying;

/// <summary>Adds up what an engine holds against what it should.</summary>
internal sealed class TensorComparison
{
    /// <summary>Names that a report has room for; all tensors of a model may be wrong.</summary>
    private const int MaxNames = 100;

    private readonly List<string> _differing = [];
    private readonly List<string> _missing = [];
    private int _equal;

    /// <param name="held">The engine's digests; empty for a tensor that it does not hold.</param>
    /// <param name="expected">The checkpoint's.</param>
    public void Add(ImmutableArray<string> names, ImmutableArray<ReadOnlyMemory<byte>> held, ImmutableArray<ReadOnlyMemory<byte>> expected)
    {
        for (var i = 0; i < names.Length; i++)
        {
            if (held[i].Span.SequenceEqual(expected[i].Span))
            {
                _equal++;
            }
            else
            {
                (held[i].IsEmpty ? _missing : _differing).Add(names[i]);
            }
        }
    }

    /// <summary>Every tensor was compared.</summary>
    public EngineVerification Conclude() => BreakOff(VerificationOutcomes.Verified, null);

    /// <summary>No more can be compared; what was found wrong before stays the outcome.</summary>
    public EngineVerification BreakOff(string outcome, string? reason) => new(
        _differing.Count + _missing.Count > 0 ? VerificationOutcomes.Differs : outcome, _equal, List(_differing), List(_missing), reason);

    private static TensorNames List(List<string> names) => new(names.Count, [.. names.Take(MaxNames)]);
}
