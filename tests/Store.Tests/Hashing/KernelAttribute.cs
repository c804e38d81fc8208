using System.Reflection;
using P2PWeights.Store.Hashing;
using Xunit.Sdk;

namespace P2PWeights.Store.Tests.Hashing;

/// <summary>Runs a theory with the kernel of so many lanes, or skips that row with the reason when this CPU cannot run it.</summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
public sealed class KernelAttribute : DataAttribute
{
    private readonly int _lanes;

    public KernelAttribute(int lanes)
    {
        _lanes = lanes;
        if (!Get(lanes).IsSupported)
        {
            Skip = $"this CPU lacks the instructions of the BLAKE3 kernel with {lanes} lanes";
        }
    }

    public override IEnumerable<object[]> GetData(MethodInfo testMethod) => [[_lanes]];

    internal static Blake3Kernel Get(int lanes) => Blake3Kernel.All.Single(kernel => kernel.Lanes == lanes);
}
