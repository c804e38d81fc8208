using System.Runtime.InteropServices;
using P2PWeights.Native.Cuda;
using P2PWeights.Native.Nccl;

namespace P2PWeights.Native.Tests.Cuda;

public sealed class CudaLibraryTests
{
    [Fact]
    public void A_machine_has_CUDA_or_a_reason_why_not()
    {
        Assert.Equal(CudaLibrary.IsAvailable, CudaLibrary.Unavailable is null);
        Assert.NotEqual("", CudaLibrary.Unavailable);
        if (!NativeLibrary.TryLoad("libcuda.so.1", out _))
            Assert.Contains("libcuda.so.1 is not there", CudaLibrary.Unavailable, StringComparison.Ordinal);
    }

    [Fact]
    public void NCCL_needs_CUDA_and_says_so()
    {
        Assert.Equal(NcclLibrary.IsAvailable, NcclLibrary.Unavailable is null);
        Assert.NotEqual("", NcclLibrary.Unavailable);
        Assert.True(CudaLibrary.IsAvailable || NcclLibrary.Unavailable == CudaLibrary.Unavailable);
    }

    [Theory]
    [InlineData(11040, "11.4")]
    [InlineData(12080, "12.8")]
    [InlineData(13000, "13.0")]
    public void Versions_of_CUDA_are_read_as_it_counts_them(int version, string text) => Assert.Equal(text, CudaLibrary.TextOf(version));

    [Theory]
    [InlineData(2708, "2.7.8")]
    [InlineData(21400, "2.14.0")]
    [InlineData(22809, "2.28.9")]
    public void Versions_of_NCCL_are_read_as_it_counts_them(int version, string text) => Assert.Equal(text, NcclLibrary.TextOf(version));

    [Fact]
    public void A_uuid_is_written_in_the_order_of_its_bytes() =>
        Assert.Equal("GPU-00010203-0405-0607-0809-0a0b0c0d0e0f", CudaDevice.TextOf(Enumerable.Range(0, 16).Select(number => (byte)number).ToArray()));
}
