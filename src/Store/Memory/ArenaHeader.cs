using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using P2PWeights.Store.Content;

namespace P2PWeights.Store.Memory;

/// <summary>
/// Page 0 of an arena file, little-endian. After it, at <see cref="DirectoryOffset"/>, lies one <see cref="ArenaEntry"/> per unit, and at
/// <see cref="DataOffset"/> the units themselves. Another process that can read
/// <see cref="Nonce"/> there proves that it sees the same memory. Behind these fields, still in page 0, stands the full path of the
/// node's data folder in UTF-8, <see cref="OwnerBytes"/> long.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct ArenaHeader
{
    /// <summary>Bytes set aside for the header: one page.</summary>
    public const int Bytes = 4096;

    /// <summary>"P2PWAREN" read as a little-endian number. Written last, so a half-made arena is not taken for one.</summary>
    public const ulong ExpectedMagic = 0x4E45524157503250;

    public const uint ExpectedVersion = 1;

    /// <summary>Where <see cref="Nonce"/> stands: behind the magic, the version and the unit.</summary>
    public const int NonceOffset = 16;

    public ulong Magic;
    public uint Version;

    /// <summary>Bytes per unit.</summary>
    public uint UnitBytes;

    /// <summary>16 random bytes, new whenever an owner opens the arena: what was promised about it before holds no longer.</summary>
    public Guid Nonce;

    /// <summary>Units of data.</summary>
    public long Units;

    /// <summary>Where the block directory starts in the file.</summary>
    public long DirectoryOffset;

    /// <summary>Where the data starts in the file.</summary>
    public long DataOffset;

    /// <summary>1 when the arena belongs to one command and may be swept away by anybody once its owner is gone; else 0.</summary>
    public uint Ephemeral;

    /// <summary>Bytes of the path of the data folder; 0 when it is not known, because it has no room here.</summary>
    public int OwnerBytes;

    /// <summary>Whether these fields describe a whole arena of this version in a file of this length; a header that somebody else wrote may say anything.</summary>
    public readonly bool IsSound(long fileBytes) =>
        (Magic, Version, UnitBytes, DirectoryOffset) == (ExpectedMagic, ExpectedVersion, BuddyAllocator.UnitBytes, Bytes)
        && Units >= 0
        && Units <= fileBytes / BuddyAllocator.UnitBytes
        && DataOffset >= Bytes + (Units * ArenaEntry.Bytes)
        && DataOffset <= fileBytes - (Units * BuddyAllocator.UnitBytes);

    /// <summary>Writes the path of the data folder behind a header that is mapped with its whole page.</summary>
    public static void WriteOwner(ArenaHeader* header, string dataFolder)
    {
        var room = new Span<byte>(header + 1, Bytes - sizeof(ArenaHeader));
        header->OwnerBytes = 0;
        header->OwnerBytes = Encoding.UTF8.TryGetBytes(dataFolder, room, out var written) ? written : 0;
    }

    /// <summary>The path of the data folder that stands in an arena file; null when none does.</summary>
    public readonly string? ReadOwner(SafeFileHandle arena)
    {
        if (OwnerBytes <= 0 || OwnerBytes > Bytes - sizeof(ArenaHeader))
        {
            return null;
        }

        var path = new byte[OwnerBytes];
        return RandomAccess.Read(arena, path, sizeof(ArenaHeader)) == path.Length ? Encoding.UTF8.GetString(path) : null;
    }
}

/// <summary>
/// One entry of the block directory: the shard in the block that starts at the unit of the same number. It is what makes the memory tier
/// survive a killed process without a journal: size and digest are written first, the state last.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1, Size = Bytes)]
internal struct ArenaEntry
{
    /// <summary>One cache line.</summary>
    public const int Bytes = 64;

    /// <summary>No shard starts here.</summary>
    public const int Empty = 0;

    /// <summary>A whole, verified shard starts here.</summary>
    public const int Live = 1;

    public Digest Digest;
    public int Size;
    public int State;
}
