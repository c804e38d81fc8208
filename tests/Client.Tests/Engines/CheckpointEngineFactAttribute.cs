using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.Engines;

/// <summary>A test against the worker of checkpoint-engine itself (package checkpoint-engine of PyPI, or its sources in PYTHONPATH).</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class CheckpointEngineFactAttribute : FactAttribute
{
    public CheckpointEngineFactAttribute() => Skip = PythonModules.AreThere("/usr/bin/python3", "checkpoint_engine") ? null : "the system's Python has no checkpoint_engine: pip install checkpoint-engine, or name its sources in PYTHONPATH";
}
