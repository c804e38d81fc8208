namespace P2PWeights.Bench.Measuring;

/// <summary>The benchmark cannot be run, or its result cannot be believed; the message says what and what to do.</summary>
internal sealed class BenchException(string message, Exception? inner = null) : Exception(message, inner);
