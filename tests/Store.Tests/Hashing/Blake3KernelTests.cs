using P2PWeights.Store.Hashing;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Hashing;

/// <summary>Every kernel that this CPU can run, not only the one that it would choose.</summary>
public sealed class Blake3KernelTests
{
    private static readonly Blake3Kernel Scalar = KernelAttribute.Get(1);

    [Theory, Kernel(16), Kernel(8), Kernel(4), Kernel(1)]
    public void Hash_of_every_official_input_is_official_digest(int lanes)
    {
        var kernel = KernelAttribute.Get(lanes);
        Assert.All(
            OfficialVectors.All,
            vector =>
            {
                var (length, digest) = ((int)vector[0], (string)vector[1]);
                Assert.Equal(digest, Blake3.Hash(kernel, OfficialVectors.Input(length)).ToString());
            });
    }

    /// <summary>Each number of chunks up to four batches of the widest kernel, each with the edges of the last chunk.</summary>
    [Theory, Kernel(16), Kernel(8), Kernel(4)]
    public void Hash_of_every_tree_shape_equals_scalar(int lanes)
    {
        var kernel = KernelAttribute.Get(lanes);
        var seeded = new Seeded();
        var data = seeded.Bytes(67 * Blake3Spec.ChunkBytes);
        for (var chunks = 1; chunks <= 65; chunks++)
        {
            foreach (var extra in new[] { -1, 0, 1, 63, 64, 65, 511 })
            {
                var input = data.AsSpan(0, chunks * Blake3Spec.ChunkBytes + extra);
                Assert.True(Blake3.Hash(Scalar, input) == Blake3.Hash(kernel, input), $"{input.Length} bytes, {lanes} lanes, {seeded}");
            }
        }
    }

    [Theory, Kernel(16), Kernel(8), Kernel(4)]
    public void Hash_of_random_lengths_at_odd_addresses_equals_scalar(int lanes)
    {
        var kernel = KernelAttribute.Get(lanes);
        var seeded = new Seeded();
        var data = seeded.Bytes(5 << 20);
        for (var run = 0; run < 80; run++)
        {
            var length = seeded.Random.Next(run < 76 ? 200 << 10 : 4 << 20);
            var input = data.AsSpan(seeded.Random.Next(1, 130), length);
            Assert.True(Blake3.Hash(Scalar, input) == Blake3.Hash(kernel, input), $"{length} bytes, {lanes} lanes, {seeded}");
        }
    }

    /// <summary>Chunk numbers have 64 bits: lanes on both sides of the carry into the upper word.</summary>
    [Theory, Kernel(16), Kernel(8), Kernel(4)]
    public void Chunks_around_the_carry_of_the_counter_equal_scalar(int lanes)
    {
        var kernel = KernelAttribute.Get(lanes);
        var seeded = new Seeded();
        var data = seeded.Bytes(lanes * Blake3Spec.ChunkBytes);
        for (var before = 0; before <= lanes; before++)
        {
            var counter = (1UL << 32) - (ulong)before;
            var expected = new uint[lanes * Blake3Spec.CvWords];
            var actual = new uint[lanes * Blake3Spec.CvWords];
            Scalar.HashChunks(data, counter, expected);
            kernel.HashChunks(data, counter, actual);
            Assert.Equal(expected, actual);
        }
    }

    [Theory, Kernel(16), Kernel(8), Kernel(4), Kernel(1)]
    public void Parents_may_overwrite_their_children(int lanes)
    {
        var kernel = KernelAttribute.Get(lanes);
        var seeded = new Seeded();
        for (var parents = 1; parents <= 40; parents++)
        {
            var children = Enumerable.Range(0, parents * Blake3Spec.BlockWords).Select(_ => (uint)seeded.Random.NextInt64(1L << 32)).ToArray();
            var expected = new uint[parents * Blake3Spec.CvWords];
            Scalar.HashParents(children, expected);
            kernel.HashParents(children, children);
            Assert.Equal(expected, children[..expected.Length]);
        }
    }

    [Theory, Kernel(16), Kernel(8), Kernel(4), Kernel(1)]
    public void Hasher_of_random_pieces_equals_one_shot(int lanes)
    {
        var kernel = KernelAttribute.Get(lanes);
        var seeded = new Seeded();
        for (var run = 0; run < 30; run++)
        {
            var data = seeded.Bytes(seeded.Random.Next(300 << 10));
            var hasher = new Blake3Hasher(kernel);
            for (var offset = 0; offset < data.Length;)
            {
                var piece = Math.Min(seeded.Random.Next(1 << seeded.Random.Next(19)), data.Length - offset);
                hasher.Update(data.AsSpan(offset, piece));
                offset += piece;
                if (seeded.Random.Next(8) == 0)
                {
                    Assert.True(Blake3.Hash(data.AsSpan(0, offset)) == hasher.Finish(), $"prefix of {offset} bytes, {lanes} lanes, {seeded}");
                }
            }

            Assert.True(Blake3.Hash(data) == hasher.Finish(), $"{data.Length} bytes, {lanes} lanes, {seeded}");
        }
    }

    /// <summary>Subtrees hashed apart, as other threads and devices do, and put together by hand.</summary>
    [Theory, Kernel(16), Kernel(8), Kernel(4), Kernel(1)]
    public void Subtrees_hashed_apart_combine_to_the_whole(int lanes)
    {
        var kernel = KernelAttribute.Get(lanes);
        var seeded = new Seeded();
        var data = seeded.Bytes((300 << 10) + 77);
        var leftBytes = 256 << 10;
        var children = new uint[2 * Blake3Spec.CvWords];
        Blake3Tree.HashSubtree(kernel, data.AsSpan(0, leftBytes), chunkCounter: 0, children.AsSpan(0, Blake3Spec.CvWords));
        Blake3Tree.HashSubtree(kernel, data.AsSpan(leftBytes), (ulong)leftBytes / Blake3Spec.ChunkBytes, children.AsSpan(Blake3Spec.CvWords));
        Assert.True(Blake3.Hash(data) == Blake3Tree.RootDigest(children), seeded.ToString());
    }

    [Fact]
    public void Best_kernel_is_the_widest_supported() =>
        Assert.Equal(Blake3Kernel.All.Where(kernel => kernel.IsSupported).Max(kernel => kernel.Lanes), Blake3Kernel.Best.Lanes);
}
