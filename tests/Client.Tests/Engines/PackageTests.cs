using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.Engines;

/// <summary>The tests of the Python package that are written in Python.</summary>
public sealed class PackageTests
{
    [Fact]
    public async Task Package_without_torch_passes_its_tests()
    {
        await using var tests = new PythonProcess("test_package.py");
        await tests.EndAsync();
    }

    [TorchFact]
    public async Task Package_with_torch_passes_its_tests()
    {
        await using var tests = new PythonProcess("test_torch.py");
        await tests.EndAsync();
    }

    [TorchFact(gpu: true)]
    public async Task Package_with_torch_passes_its_tests_on_a_gpu()
    {
        await using var tests = new PythonProcess("test_cuda.py");
        await tests.EndAsync();
    }
}
