using System.Text.Json.Nodes;

namespace P2PWeights.Cli.Synth;

/// <summary>A model architecture scaled to a size, except for its vocabulary, which takes up what is left.</summary>
internal interface ISynthArchitecture
{
    /// <summary>Bytes that one more token of vocabulary adds.</summary>
    long BytesPerToken { get; }

    /// <summary>All tensors, in the order of the model's modules.</summary>
    IEnumerable<SynthTensor> Tensors(int vocabulary);

    /// <summary>config.json: the keys of the real model, with values that fit the tensors.</summary>
    JsonObject Config(int vocabulary);
}
