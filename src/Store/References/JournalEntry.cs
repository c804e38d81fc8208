using System.Buffers.Binary;
using System.Text;
using P2PWeights.Store.Content;

namespace P2PWeights.Store.References;

/// <summary>
/// The entries of the reference journal, little-endian: one byte of kind, four of file number, then
/// <list type="bullet">
/// <item>file: device u64, inode u64, size i64, mtime i64 (ns), path in UTF-8 to the end;</item>
/// <item>extents: digest (32), size i32, offset i64, repeated to the end;</item>
/// <item>drop: nothing;</item>
/// <item>forget: digest (32); the file number is 0;</item>
/// <item>removed: as extents.</item>
/// </list>
/// </summary>
internal static class JournalEntry
{
    public const byte FileKind = 1;
    public const byte ExtentsKind = 2;
    public const byte DropKind = 3;
    public const byte ForgetKind = 4;
    public const byte RemovedKind = 5;

    /// <summary>Bytes of kind and file number.</summary>
    public const int HeadBytes = 5;

    /// <summary>Bytes of one extent.</summary>
    public const int ExtentBytes = Digest.Size + 4 + 8;

    /// <summary>Extents in one entry: 44 KB, so that it fits a page of the log.</summary>
    public const int MaxExtents = 1000;

    private const int IdentityBytes = 32;

    public static byte[] File(ReferencedFile file)
    {
        var entry = Begin(FileKind, file.Id, IdentityBytes + Encoding.UTF8.GetByteCount(file.Path));
        var body = entry.AsSpan(HeadBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(body, file.Identity.Device);
        BinaryPrimitives.WriteUInt64LittleEndian(body[8..], file.Identity.Inode);
        BinaryPrimitives.WriteInt64LittleEndian(body[16..], file.Identity.Size);
        BinaryPrimitives.WriteInt64LittleEndian(body[24..], file.Identity.ModifiedNs);
        Encoding.UTF8.GetBytes(file.Path, body[IdentityBytes..]);
        return entry;
    }

    public static byte[] Extents(int fileId, IReadOnlyList<FileExtent> extents) => Extents(ExtentsKind, fileId, extents);

    /// <summary>Extents that a file does not hold any more.</summary>
    public static byte[] Removed(int fileId, IReadOnlyList<FileExtent> extents) => Extents(RemovedKind, fileId, extents);

    public static byte[] Drop(int fileId) => Begin(DropKind, fileId, 0);

    public static byte[] Forget(Digest digest)
    {
        var entry = Begin(ForgetKind, 0, Digest.Size);
        digest.CopyTo(entry.AsSpan(HeadBytes));
        return entry;
    }

    /// <summary>Reads the body of a file entry.</summary>
    public static ReferencedFile ReadFile(int fileId, ReadOnlySpan<byte> body)
    {
        Require(body.Length > IdentityBytes);
        var identity = new FileIdentity(
            BinaryPrimitives.ReadUInt64LittleEndian(body),
            BinaryPrimitives.ReadUInt64LittleEndian(body[8..]),
            BinaryPrimitives.ReadInt64LittleEndian(body[16..]),
            BinaryPrimitives.ReadInt64LittleEndian(body[24..]));
        return new ReferencedFile(fileId, Encoding.UTF8.GetString(body[IdentityBytes..]), identity, Unfinished: null);
    }

    /// <summary>Reads the body of an entry of extents, or of removed ones.</summary>
    public static List<FileExtent> ReadExtents(ReadOnlySpan<byte> body)
    {
        Require(body.Length % ExtentBytes == 0);
        var extents = new List<FileExtent>(body.Length / ExtentBytes);
        for (; !body.IsEmpty; body = body[ExtentBytes..])
        {
            var size = BinaryPrimitives.ReadInt32LittleEndian(body[Digest.Size..]);
            var offset = BinaryPrimitives.ReadInt64LittleEndian(body[(Digest.Size + 4)..]);
            Require(size > 0 && offset >= 0);
            extents.Add(new FileExtent(new ShardInfo(new Digest(body[..Digest.Size]), size), offset));
        }

        return extents;
    }

    /// <exception cref="InvalidDataException">A condition on an entry does not hold.</exception>
    public static void Require(bool condition)
    {
        if (!condition)
        {
            throw new InvalidDataException("an entry is malformed");
        }
    }

    private static byte[] Extents(byte kind, int fileId, IReadOnlyList<FileExtent> extents)
    {
        var entry = Begin(kind, fileId, extents.Count * ExtentBytes);
        var body = entry.AsSpan(HeadBytes);
        foreach (var (shard, offset) in extents)
        {
            shard.Digest.CopyTo(body);
            BinaryPrimitives.WriteInt32LittleEndian(body[Digest.Size..], shard.Size);
            BinaryPrimitives.WriteInt64LittleEndian(body[(Digest.Size + 4)..], offset);
            body = body[ExtentBytes..];
        }

        return entry;
    }

    private static byte[] Begin(byte kind, int fileId, int bodyBytes)
    {
        var entry = new byte[HeadBytes + bodyBytes];
        entry[0] = kind;
        BinaryPrimitives.WriteInt32LittleEndian(entry.AsSpan(1), fileId);
        return entry;
    }
}
