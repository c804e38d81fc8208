using P2PWeights.Transfer;

namespace P2PWeights.Cli.Output;

/// <summary>What paths carried, in words.</summary>
internal static class PathTexts
{
    /// <summary><c>rdma 80 %, tcp 20 %</c>; empty when nothing came.</summary>
    public static string Shares(IEnumerable<PathBytes> paths)
    {
        var carried = paths.Where(path => path.Bytes > 0).ToList();
        var total = carried.Sum(path => path.Bytes);
        return string.Join(", ", carried.OrderByDescending(path => path.Bytes).Select(path => $"{path.Path} {Format.Share(path.Bytes, total)}"));
    }

    /// <summary><c>lane-lost 3, stall 1</c>; <c>-</c> when nothing failed.</summary>
    public static string Failures(IReadOnlyDictionary<string, int> failures) =>
        failures.Count == 0 ? "-" : string.Join(", ", failures.OrderByDescending(reason => reason.Value).Select(reason => $"{reason.Key} {reason.Value}"));

    /// <summary>A row per source and path; what is the source's alone stands in its first row.</summary>
    public static TextTable Table(PullReport transfer)
    {
        var table = new TextTable("from", "path", ">bytes", ">share", ">shards", ">rate", ">stalls", ">retries", "failures", "");
        foreach (var source in transfer.Sources.OrderByDescending(source => source.Bytes))
        {
            var isFirst = true;
            foreach (var path in source.Paths.OrderByDescending(path => path.Bytes).DefaultIfEmpty(new PathReport("-", 0, 0, TimeSpan.Zero, new Dictionary<string, int>())))
            {
                table.Add(
                    isFirst ? source.Name : "",
                    path.Path,
                    Format.Bytes(path.Bytes),
                    path.Bytes == 0 ? "-" : Format.Share(path.Bytes, transfer.BytesFetched),
                    Format.Invariant($"{path.Shards}"),
                    path.Bytes == 0 ? "-" : Format.Rate(Format.PerSecond(path.Bytes, path.Active)),
                    isFirst ? Format.Invariant($"{source.Stalls}") : "",
                    isFirst ? Format.Invariant($"{source.Retries}") : "",
                    Failures(path.Failures),
                    isFirst && source.Banned is not null ? $"banned: {source.Banned}" : "");
                isFirst = false;
            }
        }

        return table;
    }
}
