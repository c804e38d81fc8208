using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Hashing;

/// <summary>The anchor: the reference implementation's own command.</summary>
internal sealed class B3Sum
{
    /// <summary>Starts whose median is taken for what starting costs.</summary>
    private const int StartRuns = 5;

    private static readonly Tool Command = new("b3sum", package: "b3sum");

    private readonly double _startSeconds;

    private B3Sum(double startSeconds) => _startSeconds = startSeconds;

    /// <summary>Measures its start-up, which <see cref="SecondsAsync"/> leaves out: the comparison is of hashing.</summary>
    public static async Task<B3Sum> CreateAsync(SharedMemoryFolder folder, CancellationToken cancellationToken)
    {
        var empty = folder.CreateRandomFile("empty", 0);
        var seconds = new List<double>();
        for (var run = 0; run < StartRuns; run++)
        {
            seconds.Add((await Command.RunAsync([empty], cancellationToken)).Seconds);
        }

        return new B3Sum(seconds.Order().ElementAt(StartRuns / 2));
    }

    /// <summary>The 64 hex digits that it prints for a file.</summary>
    public static async Task<string> DigestAsync(string path, CancellationToken cancellationToken) =>
        (await Command.RunAsync(["--no-names", path], cancellationToken)).Output.Trim();

    /// <summary>Seconds to hash a file.</summary>
    public async Task<double> SecondsAsync(string path, string[] options, CancellationToken cancellationToken) =>
        (await Command.RunAsync([.. options, path], cancellationToken)).Seconds - _startSeconds;
}
