using System.Numerics;

namespace P2PWeights.Tracker.Swarms;

/// <summary>A set of small numbers as bits of 64-bit words; grows to the highest number it ever held. Not thread-safe.</summary>
internal sealed class Bitmap
{
    private ulong[] _words = [];

    /// <summary>Numbers in the set.</summary>
    public int Count { get; private set; }

    public bool Contains(int number) => number >> 6 < _words.Length && (_words[number >> 6] & (1UL << number)) != 0;

    /// <summary>Puts a number in. False when it was there already.</summary>
    public bool Add(int number)
    {
        var word = number >> 6;
        if (word >= _words.Length)
        {
            Grow(word + 1);
        }

        var bit = 1UL << number;
        if ((_words[word] & bit) != 0)
        {
            return false;
        }

        _words[word] |= bit;
        Count++;
        return true;
    }

    /// <summary>Takes a number out. False when it was not there.</summary>
    public bool Remove(int number)
    {
        if (!Contains(number))
        {
            return false;
        }

        _words[number >> 6] &= ~(1UL << number);
        Count--;
        return true;
    }

    /// <summary>Makes the at most 64 bits from any number on what <paramref name="bits"/> says; gives those that changed.</summary>
    /// <param name="bits">Nothing beyond <paramref name="count"/> bits.</param>
    public ulong Replace(int first, int count, ulong bits)
    {
        var changed = (WordAt(first) & (count < 64 ? (1UL << count) - 1 : ulong.MaxValue)) ^ bits;
        if (changed == 0)
        {
            return 0;
        }

        var (word, shift) = (first >> 6, first & 63);
        var last = (first + count - 1) >> 6;
        if (last >= _words.Length)
        {
            Grow(last + 1);
        }

        _words[word] ^= changed << shift;
        if (last > word)
        {
            _words[last] ^= changed >> (64 - shift);
        }

        Count += BitOperations.PopCount(bits & changed) - BitOperations.PopCount(~bits & changed);
        return changed;
    }

    /// <summary>How many numbers are in this set and in the other.</summary>
    public int CountCommon(Bitmap other)
    {
        var words = Math.Min(_words.Length, other._words.Length);
        var count = 0;
        for (var i = 0; i < words; i++)
        {
            count += BitOperations.PopCount(_words[i] & other._words[i]);
        }

        return count;
    }

    /// <summary>Calls <paramref name="action"/> with every number of the set, in order. The set must not change meanwhile.</summary>
    public void ForEach(Action<int> action)
    {
        for (var i = 0; i < _words.Length; i++)
        {
            for (var word = _words[i]; word != 0; word &= word - 1)
            {
                action((i << 6) + BitOperations.TrailingZeroCount(word));
            }
        }
    }

    /// <summary>The lowest number at or above <paramref name="from"/> that is not in the set.</summary>
    public int LowestMissing(int from)
    {
        for (var i = from >> 6; i < _words.Length; i++)
        {
            var free = ~_words[i];
            if (i == from >> 6)
            {
                free &= ulong.MaxValue << from;
            }

            if (free != 0)
            {
                return (i << 6) + BitOperations.TrailingZeroCount(free);
            }
        }

        return Math.Max(from, _words.Length << 6);
    }

    /// <summary>
    /// Copies <paramref name="count"/> bits from <paramref name="first"/> on into <paramref name="words"/> from bit <paramref name="at"/> on, a word at a
    /// time. The bits there must be zero before; numbers that the set never reached read as absent.
    /// </summary>
    public void CopyBits(int first, int count, Span<ulong> words, int at)
    {
        while (count > 0)
        {
            var take = Math.Min(count, 64 - (at & 63));
            var bits = WordAt(first);
            if (take < 64)
            {
                bits &= (1UL << take) - 1;
            }

            words[at >> 6] |= bits << at;
            first += take;
            at += take;
            count -= take;
        }
    }

    private void Grow(int words) => Array.Resize(ref _words, Math.Max(words, _words.Length + (_words.Length / 2)));

    /// <summary>The 64 bits from any bit on.</summary>
    private ulong WordAt(int first)
    {
        var index = first >> 6;
        var shift = first & 63;
        var low = index < _words.Length ? _words[index] >> shift : 0;
        return shift == 0 || index + 1 >= _words.Length ? low : low | (_words[index + 1] << (64 - shift));
    }
}
