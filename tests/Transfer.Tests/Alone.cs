namespace P2PWeights.Transfer.Tests;

/// <summary>Tests that count for the whole process, and so run when no other test does.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
