namespace P2PWeights.Native.Tests.Cuda;

/// <summary>A test that compares with headers of CUDA; skipped, with the reason, where they or a C compiler are not installed.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class CudaHeaderFactAttribute : FactAttribute
{
    /// <summary>Where NVIDIA's packages and Debian's put headers.</summary>
    private static readonly string[] Folders = ["/usr/local/cuda/include", "/usr/include"];

    /// <param name="headers">Names of the headers that the test needs.</param>
    public CudaHeaderFactAttribute(params string[] headers)
    {
        if (!File.Exists("/usr/bin/cc"))
        {
            Skip = "no C compiler: install the packages gcc and libc6-dev";
        }
        else if (headers.FirstOrDefault(header => !Folders.Any(folder => File.Exists(Path.Combine(folder, header)))) is { } missing)
        {
            Skip = $"no {missing} in {string.Join(" or ", Folders)}: install the CUDA toolkit, and libnccl-dev";
        }
    }

    /// <summary>Has the compiler look into the folders too.</summary>
    public static string[] IncludeOptions => [.. Folders.Select(folder => $"-I{folder}")];
}
