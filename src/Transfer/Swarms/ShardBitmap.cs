using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Numerics;

namespace P2PWeights.Transfer.Swarms;

/// <summary>One bit per shard ordinal of a manifest. As bytes: ordinal <c>i</c> is bit <c>i % 8</c> (lowest first) of byte <c>i / 8</c>, unused bits zero.</summary>
internal sealed class ShardBitmap
{
    /// <summary>Shards per word.</summary>
    public const int WordBits = 64;

    private readonly ulong[] _words;

    public ShardBitmap(int length)
        : this(new ulong[(length + WordBits - 1) / WordBits], length)
    {
    }

    private ShardBitmap(ulong[] words, int length) => (_words, Length) = (words, length);

    /// <summary>The bitmap of no shards.</summary>
    public static ShardBitmap Empty { get; } = new(0);

    /// <summary>Number of shards, set or not.</summary>
    public int Length { get; }

    /// <summary>The bits, 64 to a word, lowest first; unused bits zero.</summary>
    public ReadOnlySpan<ulong> Words => _words;

    public bool this[int ordinal]
    {
        get => (uint)ordinal < (uint)Length && (_words[ordinal / WordBits] >> (ordinal % WordBits) & 1) != 0;
        set
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)ordinal, (uint)Length, nameof(ordinal));
            var bit = 1UL << (ordinal % WordBits);
            _words[ordinal / WordBits] = value ? _words[ordinal / WordBits] | bit : _words[ordinal / WordBits] & ~bit;
        }
    }

    /// <summary>How many bits are set.</summary>
    public int Count()
    {
        var count = 0;
        foreach (var word in _words)
        {
            count += BitOperations.PopCount(word);
        }

        return count;
    }

    /// <summary>Sets no bit any more.</summary>
    public void Clear() => Array.Clear(_words);

    public ShardBitmap Clone() => new((ulong[])_words.Clone(), Length);

    /// <summary>Sets every bit that is set in another bitmap of the same length.</summary>
    public void Add(ShardBitmap other)
    {
        for (var w = 0; w < _words.Length; w++)
        {
            _words[w] |= other._words[w];
        }
    }

    /// <summary>Whether any shard is set here and in another bitmap and, when given, not in a third, all of the same length.</summary>
    public bool Overlaps(ShardBitmap other, ShardBitmap? notIn = null)
    {
        for (var w = 0; w < _words.Length; w++)
        {
            if ((_words[w] & other._words[w] & ~(notIn?._words[w] ?? 0)) != 0)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>A random shard that is set here and in another bitmap of the same length, or -1.</summary>
    public int Pick(ShardBitmap other, Random random)
    {
        var start = random.Next(_words.Length);
        for (var i = 0; i < _words.Length; i++)
        {
            var w = start + i < _words.Length ? start + i : start + i - _words.Length;
            if ((_words[w] & other._words[w]) is var fit and not 0)
            {
                return (w * WordBits) + RandomBit(fit, random);
            }
        }

        return -1;
    }

    /// <summary>The place of a random bit of those that are set, of which there is one.</summary>
    public static int RandomBit(ulong word, Random random)
    {
        for (var skip = random.Next(BitOperations.PopCount(word)); skip > 0; skip--)
        {
            word &= word - 1;
        }

        return BitOperations.TrailingZeroCount(word);
    }

    /// <summary>What is set here and in another bitmap of the same length.</summary>
    public ShardBitmap And(ShardBitmap other)
    {
        var both = Clone();
        for (var w = 0; w < _words.Length; w++)
        {
            both._words[w] &= other._words[w];
        }

        return both;
    }

    /// <summary>Calls <paramref name="visit"/> with every ordinal that differs from <paramref name="before"/> (which counts as unset where it is shorter), and with its bit here.</summary>
    public void VisitChanges(ShardBitmap before, Action<int, bool> visit)
    {
        for (var w = 0; w < _words.Length; w++)
        {
            var changed = _words[w] ^ (w < before._words.Length ? before._words[w] : 0);
            for (; changed != 0; changed &= changed - 1)
            {
                var bit = BitOperations.TrailingZeroCount(changed);
                visit((w * WordBits) + bit, (_words[w] >> bit & 1) != 0);
            }
        }
    }

    /// <summary>Bytes that <see cref="ToBytes"/> gives for so many shards.</summary>
    public static int BytesFor(int length) => (length + 7) / 8;

    public byte[] ToBytes()
    {
        var padded = new byte[_words.Length * sizeof(ulong)];
        for (var w = 0; w < _words.Length; w++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(padded.AsSpan(w * sizeof(ulong)), _words[w]);
        }

        return padded[..BytesFor(Length)];
    }

    /// <summary>Reads what <see cref="ToBytes"/> wrote; false when the number of bytes does not fit or an unused bit is set.</summary>
    public static bool TryFromBytes(ReadOnlySpan<byte> bytes, int length, [NotNullWhen(true)] out ShardBitmap? bitmap)
    {
        bitmap = null;
        if (bytes.Length != BytesFor(length) || (length % 8 != 0 && bytes[^1] >> (length % 8) != 0))
        {
            return false;
        }

        bitmap = new ShardBitmap(length);
        for (var i = 0; i < bytes.Length; i++)
        {
            bitmap._words[i / sizeof(ulong)] |= (ulong)bytes[i] << (i % sizeof(ulong) * 8);
        }

        return true;
    }
}
