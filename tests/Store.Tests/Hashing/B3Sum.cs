using System.ComponentModel;
using System.Diagnostics;

namespace P2PWeights.Store.Tests.Hashing;

/// <summary>The reference implementation's own command, a Debian package.</summary>
internal static class B3Sum
{
    /// <summary>The 64 hex digits that <c>b3sum</c> prints for a file.</summary>
    public static string Of(string path)
    {
        var start = new ProcessStartInfo("b3sum", ["--no-names", path]) { RedirectStandardOutput = true };
        try
        {
            using var process = Process.Start(start)!;
            var output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            Assert.Equal(0, process.ExitCode);
            return output.Trim();
        }
        catch (Win32Exception e)
        {
            throw new InvalidOperationException("this test needs b3sum: install it (apt-get install b3sum)", e);
        }
    }
}
