using Xunit.Abstractions;
using Xunit.Sdk;

namespace P2PWeights.Transfer.Tests.Paths;

/// <summary>A test of the path contract: skipped in a class whose path needs something that this machine does not have (<see cref="NeedsAttribute"/>).</summary>
[AttributeUsage(AttributeTargets.Method)]
[XunitTestCaseDiscoverer("P2PWeights.Transfer.Tests.Paths.PathFactDiscoverer", "P2PWeights.Transfer.Tests")]
public sealed class PathFactAttribute : FactAttribute;

/// <summary>See <see cref="PathFactAttribute"/>.</summary>
[AttributeUsage(AttributeTargets.Method)]
[XunitTestCaseDiscoverer("P2PWeights.Transfer.Tests.Paths.PathTheoryDiscoverer", "P2PWeights.Transfer.Tests")]
public sealed class PathTheoryAttribute : TheoryAttribute;

/// <summary>On a test class: what its tests need of the machine.</summary>
[AttributeUsage(AttributeTargets.Class)]
public abstract class NeedsAttribute : Attribute
{
    /// <summary>Why the tests cannot run here; null when they can.</summary>
    public abstract string? Missing { get; }

    internal static string? MissingFor(ITestMethod method) => method.TestClass.Class.ToRuntimeType()
        .GetCustomAttributes(typeof(NeedsAttribute), inherit: true).Cast<NeedsAttribute>().Select(needs => needs.Missing).FirstOrDefault(missing => missing is not null);
}

/// <summary>Makes the test cases of <see cref="PathFactAttribute"/>.</summary>
public sealed class PathFactDiscoverer(IMessageSink diagnostics) : FactDiscoverer(diagnostics)
{
    protected override IXunitTestCase CreateTestCase(ITestFrameworkDiscoveryOptions discoveryOptions, ITestMethod testMethod, IAttributeInfo factAttribute) =>
        new PathTestCase(DiagnosticMessageSink, discoveryOptions.MethodDisplayOrDefault(), discoveryOptions.MethodDisplayOptionsOrDefault(), testMethod);
}

/// <summary>Makes the test cases of <see cref="PathTheoryAttribute"/>.</summary>
public sealed class PathTheoryDiscoverer(IMessageSink diagnostics) : TheoryDiscoverer(diagnostics)
{
    protected override IEnumerable<IXunitTestCase> CreateTestCasesForDataRow(
        ITestFrameworkDiscoveryOptions discoveryOptions, ITestMethod testMethod, IAttributeInfo theoryAttribute, object[] dataRow) =>
        [new PathTestCase(DiagnosticMessageSink, discoveryOptions.MethodDisplayOrDefault(), discoveryOptions.MethodDisplayOptionsOrDefault(), testMethod, dataRow)];
}

/// <summary>A test case that knows what its class needs.</summary>
public sealed class PathTestCase : XunitTestCase
{
    [Obsolete("For the runner, which reads test cases back.")]
    public PathTestCase()
    {
    }

    public PathTestCase(
        IMessageSink diagnostics, TestMethodDisplay display, TestMethodDisplayOptions displayOptions, ITestMethod testMethod, object[]? arguments = null)
        : base(diagnostics, display, displayOptions, testMethod, arguments)
    {
    }

    protected override string? GetSkipReason(IAttributeInfo factAttribute) => base.GetSkipReason(factAttribute) ?? NeedsAttribute.MissingFor(TestMethod);
}
