using System.Collections.Concurrent;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Store.Hashing;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Folders;

public sealed class FileHasherTests : IDisposable
{
    private readonly TempFolder _temp = new();
    private readonly Seeded _seeded = new();

    public void Dispose() => _temp.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Shards_are_the_digests_of_the_extents_in_file_order(bool withBytes)
    {
        int[] lengths = [1, 3_000_000, 7, 1 << 20, (1 << 20) + 1, 64];
        var bytes = _seeded.Bytes(lengths.Sum());
        var handedOut = new ConcurrentDictionary<Digest, byte[]>();
        var shards = await HashAsync(bytes, lengths, withBytes ? (shard, extent, _) => { handedOut[shard.Digest] = extent.ToArray(); return default; } : null);

        var offset = 0;
        for (var i = 0; i < lengths.Length; i++)
        {
            var extent = bytes.AsSpan(offset, lengths[i]);
            Assert.True(new ShardInfo(Blake3.Hash(extent), lengths[i]) == shards[i], $"extent {i}; {_seeded}");
            Assert.True(!withBytes || extent.SequenceEqual(handedOut[shards[i].Digest]), $"extent {i}; {_seeded}");
            offset += lengths[i];
        }
    }

    [Fact]
    public async Task Empty_file_has_no_shards() => Assert.Empty(await HashAsync([], [], null));

    [Theory]
    [InlineData("written")]
    [InlineData("truncated")]
    [InlineData("appended")]
    [InlineData("touched")]
    public async Task File_that_changes_while_it_is_hashed_is_refused(string how)
    {
        var bytes = _seeded.Bytes(100_000);
        var error = await Assert.ThrowsAsync<StoreException>(() => HashAsync(bytes, [50_000, 50_000], (_, _, _) =>
        {
            lock (_temp)
            {
                using var other = new FileStream(_temp["file"], FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
                switch (how)
                {
                    case "written":
                        other.WriteByte(0);
                        break;
                    case "truncated":
                        other.SetLength(10);
                        break;
                    case "appended":
                        other.SetLength(100_001);
                        break;
                    default:
                        File.SetLastWriteTimeUtc(_temp["file"], DateTime.UnixEpoch);
                        break;
                }
            }

            return default;
        }));
        Assert.Equal(StoreError.NotAllowed, error.Error);
        Assert.Contains($"'{_temp["file"]}' changed while it was hashed", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task File_that_changed_between_its_cut_and_its_hash_is_refused()
    {
        File.WriteAllBytes(_temp["file"], new byte[10]);
        using var file = File.OpenHandle(_temp["file"], share: FileShare.ReadWrite);
        var identity = FileIdentity.Of(file) with { ModifiedNs = 1 };
        await Assert.ThrowsAsync<StoreException>(() => FileHasher.HashAsync(file, _temp["file"], identity, [10], null, null, CancellationToken.None));
    }

    [Fact]
    public async Task Failure_of_the_receiver_ends_the_hashing_and_comes_through()
    {
        var given = 0;
        await Assert.ThrowsAsync<IOException>(() => HashAsync(_seeded.Bytes(1000), [.. Enumerable.Repeat(1, 1000)], async (_, _, cancellationToken) =>
        {
            var number = Interlocked.Increment(ref given);
            if (number == 10)
            {
                throw new IOException("no more");
            }

            // The other workers do not get through all of it before the failure is known.
            await Task.Delay(number > 10 ? 20 : 0, cancellationToken);
        }));
        Assert.True(given < 1000, $"{given} extents were handed out after the failure");
    }

    [Fact]
    public async Task Progress_reaches_the_size_of_the_file_and_cancellation_ends_it()
    {
        var reports = new ConcurrentBag<long>();
        await HashAsync(_seeded.Bytes(300), [100, 100, 100], null, new Collect(reports));
        Assert.Equal([100, 200, 300], reports.Order());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => HashAsync([1], [1], null, cancellationToken: new CancellationToken(canceled: true)));
    }

    [Fact]
    public async Task Extents_that_do_not_add_up_are_a_mistake_of_the_caller() =>
        await Assert.ThrowsAsync<ArgumentException>(() => HashAsync(new byte[10], [5, 6], null));

    private async Task<IReadOnlyList<ShardInfo>> HashAsync(
        byte[] bytes,
        int[] lengths,
        Func<ShardInfo, ReadOnlyMemory<byte>, CancellationToken, ValueTask>? onExtent,
        IProgress<long>? progress = null,
        CancellationToken cancellationToken = default)
    {
        File.WriteAllBytes(_temp["file"], bytes);
        using var file = File.OpenHandle(_temp["file"], share: FileShare.ReadWrite);
        return await FileHasher.HashAsync(file, _temp["file"], FileIdentity.Of(file), lengths, onExtent, progress, cancellationToken);
    }

    private sealed class Collect(ConcurrentBag<long> reports) : IProgress<long>
    {
        public void Report(long value) => reports.Add(value);
    }
}
