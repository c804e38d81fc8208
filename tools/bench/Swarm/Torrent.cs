using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace P2PWeights.Bench.Swarm;

/// <summary>A torrent of one file (BEP 3), as far as a benchmark needs it.</summary>
internal static class Torrent
{
    /// <summary>Writes the torrent of a file beside nothing else: the tracker's address, and the SHA-1 of each piece.</summary>
    public static async Task WriteAsync(string torrent, string file, int pieceBytes, Uri tracker, CancellationToken cancellationToken)
    {
        var pieces = new MemoryStream();
        await using (var source = File.OpenRead(file))
        {
            var piece = new byte[pieceBytes];
            for (int read; (read = await source.ReadAtLeastAsync(piece, pieceBytes, throwOnEndOfStream: false, cancellationToken)) > 0;)
            {
#pragma warning disable CA5350 // BitTorrent names pieces by SHA-1; nothing of ours trusts it.
                pieces.Write(SHA1.HashData(piece.AsSpan(0, read)));
#pragma warning restore CA5350
            }
        }

        await using var target = File.Create(torrent);
        Write(target, $"d8:announce{Text(tracker.ToString())}4:infod6:lengthi{Number(new FileInfo(file).Length)}e4:name{Text(Path.GetFileName(file))}12:piece lengthi{Number(pieceBytes)}e6:pieces{Number(pieces.Length)}:");
        pieces.WriteTo(target);
        Write(target, "ee");
    }

    private static void Write(Stream target, string ascii) => target.Write(Encoding.ASCII.GetBytes(ascii));

    private static string Text(string ascii) => $"{Number(ascii.Length)}:{ascii}";

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);
}
