namespace P2PWeights.Native.Tests.Verbs;

/// <summary>A test that compares with the header of libibverbs; skipped, with the reason, where it or a C compiler is not installed.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class VerbsHeaderFactAttribute : FactAttribute
{
    public VerbsHeaderFactAttribute()
    {
        if (!File.Exists("/usr/bin/cc"))
        {
            Skip = "no C compiler: install the packages gcc and libc6-dev";
        }
        else if (!File.Exists("/usr/include/infiniband/verbs.h"))
        {
            Skip = "no infiniband/verbs.h: install the package libibverbs-dev";
        }
    }
}
