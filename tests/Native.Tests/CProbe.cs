using System.Globalization;
using P2PWeights.Testing;

namespace P2PWeights.Native.Tests;

/// <summary>Compares what this project states of C structs and constants with what a C compiler makes of the system's headers.</summary>
internal static class CProbe
{
    /// <summary>Compiles and runs a program that prints a name and a number per line, and asserts that they are the ones stated: none more, none less.</summary>
    /// <param name="source">Name of the C file, beside the tests.</param>
    /// <param name="options">What the compiler needs to find the headers.</param>
    public static async Task AssertStatesAsync(string source, IReadOnlyDictionary<string, long> stated, params string[] options)
    {
        using var folder = new TempFolder();
        await RunAsync("/usr/bin/cc", ["-O0", .. options, "-o", folder["probe"], Path.Combine(AppContext.BaseDirectory, source)]);
        var expected = (await RunAsync(folder["probe"]))
            .Split('\n')
            .Select(line => line.Split(' '))
            .ToDictionary(parts => parts[0], parts => long.Parse(parts[1], CultureInfo.InvariantCulture));

        Assert.Equal(expected.OrderBy(entry => entry.Key, StringComparer.Ordinal), stated.OrderBy(entry => entry.Key, StringComparer.Ordinal));
    }

    private static async Task<string> RunAsync(string program, params string[] arguments)
    {
        var (exitCode, output, errors) = await Shell.RunAsync(program, arguments);
        Assert.True(exitCode == 0, $"{program} ended with {exitCode}: {errors}");
        return output;
    }
}
