using System.ComponentModel;
using System.Diagnostics;
using System.Text;

namespace P2PWeights.Tracker.Tests.Http;

/// <summary>The real <c>curl</c>, because people will use it. The tests need the Debian package of that name.</summary>
internal static class Curl
{
    /// <summary>Runs curl; what it printed, or a failed assertion with what it complained about.</summary>
    public static async Task<string> RunAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo("curl") { RedirectStandardOutput = true, RedirectStandardError = true, StandardOutputEncoding = Encoding.UTF8 };
        foreach (var argument in (string[])["-sS", "--max-time", "20", .. arguments])
        {
            start.ArgumentList.Add(argument);
        }

        using var process = Start(start);
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, $"curl {string.Join(' ', arguments)} ended with {process.ExitCode}: {await error}");
        return await output;
    }

    private static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception)
        {
            Assert.Fail("these tests need curl: install it (apt-get install curl)");
            throw;
        }
    }
}
