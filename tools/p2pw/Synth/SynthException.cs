namespace P2PWeights.Cli.Synth;

/// <summary>A synthetic checkpoint cannot be written as asked: wrong size, or a folder that is not empty. The message says what to do.</summary>
internal sealed class SynthException(string message) : Exception(message);
