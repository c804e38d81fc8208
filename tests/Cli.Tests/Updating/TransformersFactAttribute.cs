using System.Diagnostics;
using P2PWeights.Native.Cuda;

namespace P2PWeights.Cli.Tests.Updating;

/// <summary>A test that needs torch and transformers in the Python that is first in PATH (a virtual environment with both will do).</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class TransformersFactAttribute : FactAttribute
{
    private const string Look = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ('torch', 'transformers', 'safetensors'))))";

    /// <param name="gpu">Whether it needs a GPU too.</param>
    public TransformersFactAttribute(bool gpu = false) => Skip =
        (gpu ? CudaLibrary.Unavailable : null) ?? (AreThere.Value ? null : "python3 in PATH has no torch with transformers and safetensors: pip install torch transformers, in a virtual environment");

    private static Lazy<bool> AreThere { get; } = new(() =>
    {
        try
        {
            using var look = Process.Start(new ProcessStartInfo("python3", ["-c", Look]))!;
            look.WaitForExit();
            return look.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false; // no python3 at all
        }
    });
}
