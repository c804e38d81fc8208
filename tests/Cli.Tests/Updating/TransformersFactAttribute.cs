using P2PWeights.Native.Cuda;
using P2PWeights.Testing;

namespace P2PWeights.Cli.Tests.Updating;

/// <summary>A test that needs torch and transformers in the Python that is first in PATH (a virtual environment with both will do).</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class TransformersFactAttribute : FactAttribute
{
    /// <param name="gpu">Whether it needs a GPU too.</param>
    /// <param name="more">Modules that it needs too.</param>
    public TransformersFactAttribute(bool gpu = false, params string[] more) => Skip =
        (gpu ? CudaLibrary.Unavailable : null)
        ?? (PythonModules.AreThere("python3", ["torch", "transformers", "safetensors", .. more])
            ? null
            : $"python3 in PATH does not have all of torch, transformers, safetensors{string.Concat(more.Select(one => $", {one}"))}: pip install them, in a virtual environment");
}
