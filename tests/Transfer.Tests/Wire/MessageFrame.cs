using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests.Wire;

/// <summary>A message's way over the wire, without the wire.</summary>
internal static class MessageFrame
{
    /// <summary>Encodes a message as a whole frame, asserts that the header is the one of its type and length, and decodes the payload.</summary>
    public static T RoundTrip<T>(T message)
        where T : IFrameMessage<T>
    {
        var frame = FrameCodec.Encode(77, message);
        Assert.True(FrameHeader.TryRead(frame, out var header, out var problem), problem);
        Assert.Equal(new FrameHeader(T.Type, 77, frame.Length - FrameHeader.Size), header);
        return FrameCodec.Decode<T>(frame.AsMemory(FrameHeader.Size));
    }
}
