using System.Globalization;
using P2PWeights.Cli.Output;
using P2PWeights.Client;

namespace P2PWeights.Cli.Demo;

/// <summary>What the demo measured.</summary>
/// <param name="Publication">The publication.</param>
/// <param name="Pulls">One pull per consumer, with the consumer's name.</param>
/// <param name="PublisherServedBytes">Bytes that the publisher sent.</param>
/// <param name="Differences">One sentence per consumer whose files differ: none, if all is well.</param>
/// <param name="Update">What became of the engines; null when they were left out.</param>
/// <param name="FilesCompared">Files compared byte for byte, over all consumers.</param>
/// <param name="Elapsed">Wall time of the whole demo.</param>
internal sealed record DemoReport(
    PublishReport Publication,
    IReadOnlyList<(string Node, CheckpointPullReport Report)> Pulls,
    long PublisherServedBytes,
    IReadOnlyList<string> Differences,
    UpdateReport? Update,
    int FilesCompared,
    TimeSpan Elapsed)
{
    /// <summary>Name of the node that publishes.</summary>
    public const string Publisher = "publisher";

    /// <summary>How many times the publisher sent the checkpoint.</summary>
    public double PublisherCopies => Publication.Bytes > 0 ? (double)PublisherServedBytes / Publication.Bytes : 0;

    /// <summary>Whether every byte is where it should be.</summary>
    public bool IsWell => Differences.Count == 0 && (Update is null || Update.IsVerified() == true);

    public object Document() => new
    {
        Ok = IsWell,
        Publish = JsonShapes.Of(Publication),
        Pulls = Pulls.Select(pull => new
        {
            pull.Node,
            BytesPerSecond = Math.Round(Format.PerSecond(pull.Report.Transfer.BytesTotal, pull.Report.Transfer.Elapsed)),
            Report = JsonShapes.Of(pull.Report),
        }),
        PublisherServedBytes,
        PublisherCopies = Math.Round(PublisherCopies, 3),
        FilesCompared,
        Differences,
        Update = Update is null ? null : JsonShapes.Of(Update),
        ElapsedSeconds = Format.Seconds(Elapsed),
    };

    /// <summary>A row per consumer: its speed, then how much came from whom.</summary>
    public void Write(TextWriter text)
    {
        var sources = Pulls.Select(pull => pull.Node).Prepend(Publisher).ToList();
        var table = new TextTable(["node", ">time", ">GB/s", .. sources.Select(source => $">from {source}")]);
        foreach (var (node, report) in Pulls)
        {
            var transfer = report.Transfer;
            table.Add([
                node,
                Format.Time(transfer.Elapsed),
                (Format.PerSecond(transfer.BytesTotal, transfer.Elapsed) / 1e9).ToString("0.00", CultureInfo.InvariantCulture),
                .. sources.Select(source => transfer.Sources.Where(part => part.Name == source).Sum(part => part.Bytes))
                    .Select(bytes => bytes == 0 ? "-" : $"{Format.Bytes(bytes)} {Format.Share(bytes, transfer.BytesFetched),5}"),
            ]);
        }

        text.WriteLine();
        table.Write(text, "  ");
        text.WriteLine();
        text.WriteLine(Format.Invariant($"  The publisher sent the checkpoint {PublisherCopies:0.00} times for {Format.Count(Pulls.Count, "pull")}{(Pulls.Count > 1 ? ";" : ".")}"));
        if (Pulls.Count > 1)
            text.WriteLine("  the rest came from nodes that were still pulling it themselves.");
        text.WriteLine("  Every time includes writing the copy to the disk of the temporary folder, and syncing it.");
        foreach (var difference in Differences)
            text.WriteLine($"  DIFFERENT: {difference}");
        foreach (var engine in Update?.Engines.Where(engine => engine.Verification?.Outcome != VerificationOutcomes.Verified) ?? [])
            text.WriteLine($"  NOT UPDATED: {engine.Name} is {engine.State}, {engine.Verification?.Outcome ?? "not read back"}: {engine.Reason ?? engine.Verification?.Reason}");
    }
}
