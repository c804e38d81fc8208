namespace P2PWeights.Native.Tests;

/// <summary>A test that compares with the C headers; skipped, with the reason, where no C compiler is installed.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class CCompilerFactAttribute : FactAttribute
{
    public CCompilerFactAttribute()
    {
        if (!File.Exists("/usr/bin/cc"))
        {
            Skip = "no C compiler: install the packages gcc and libc6-dev";
        }
    }
}
