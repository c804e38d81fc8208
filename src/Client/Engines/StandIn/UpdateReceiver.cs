using P2PWeights.Client.Engines.Zmtp;
using P2PWeights.Native.Posix;

namespace P2PWeights.Client.Engines.StandIn;

/// <summary>The rank's part in one update (docs/protocol.md, engine channels): opens the slots, copies what they hold, answers.</summary>
/// <param name="weights">What tensors are copied to, by name.</param>
/// <param name="begun">Called before tensors change, with every bucket.</param>
internal sealed class UpdateReceiver(IDictionary<string, byte[]> weights, Action begun)
{
    /// <summary>Returns when the update is done.</summary>
    /// <param name="address">Where the node waits, <c>ipc://@NAME</c>.</param>
    /// <exception cref="Exception">The update failed; the weights may be of two checkpoints.</exception>
    public async Task RunAsync(string address, CancellationToken cancellationToken)
    {
        var connection = await ZmtpReplier.ConnectAsync(address, cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            var first = await connection.ReceiveAsync(cancellationToken).ConfigureAwait(false);
            var (memory, slots) = await ToldAsync(connection, () => Open(first), cancellationToken).ConfigureAwait(false);
            using (slots)
            {
                await connection.ReplyAsync(default, cancellationToken).ConfigureAwait(false);
                while (ReceivedMessages.ReadStep(await connection.ReceiveAsync(cancellationToken).ConfigureAwait(false)) is { } bucket)
                {
                    begun();
                    await ToldAsync(connection, () => Load(bucket, memory, slots), cancellationToken).ConfigureAwait(false);
                    await connection.ReplyAsync(default, cancellationToken).ConfigureAwait(false);
                }
            }

            await connection.ReplyAsync(default, cancellationToken).ConfigureAwait(false);
            if (ReceivedMessages.ReadStep(await connection.ReceiveAsync(cancellationToken).ConfigureAwait(false)) is not null)
            {
                throw new InvalidDataException("a bucket came after the end");
            }

            await connection.ReplyAsync(default, cancellationToken).ConfigureAwait(false);
        }
    }

    private static (HostSlotMemory Memory, MemoryMapping Slots) Open(byte[] message)
    {
        var memory = ReceivedMessages.ReadMemory(message);
        using var file = File.OpenHandle(memory.Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        return RandomAccess.GetLength(file) >= memory.Size
            ? (memory, MemoryMapping.Create(file, 0, memory.Size, writable: false, shared: true))
            : throw new InvalidDataException($"{memory.Path} has less than {memory.Size} bytes");
    }

    private bool Load(IReadOnlyList<TensorRecord> bucket, HostSlotMemory memory, MemoryMapping slots)
    {
        foreach (var tensor in bucket)
        {
            if (EngineMessages.Check(tensor, memory) is { } wrong)
            {
                throw new InvalidDataException(wrong);
            }

            var length = tensor.Shape.Aggregate((long)EngineDType.Size(tensor.DType), (bytes, dimension) => bytes * dimension);
            if (length > Array.MaxLength)
            {
                throw new NotSupportedException($"tensor {tensor.Name} has {length} bytes; this engine holds up to {Array.MaxLength}");
            }

            // In place when it can be, as engines do.
            if (!weights.TryGetValue(tensor.Name, out var held) || held.Length != length)
            {
                weights[tensor.Name] = held = GC.AllocateUninitializedArray<byte>((int)length);
            }

            slots.GetMemory(tensor.Offset, held.Length).CopyTo(held);
        }

        return true;
    }

    /// <summary>What is thrown inside is answered to the node, whose verdict is awaited, as the protocol has it, and thrown on.</summary>
    private static async Task<T> ToldAsync<T>(ZmtpReplier connection, Func<T> action, CancellationToken cancellationToken)
    {
        try
        {
            return action();
        }
        catch (Exception failure)
        {
            await connection.ReplyAsync(System.Text.Encoding.UTF8.GetBytes(failure.ToString()), cancellationToken).ConfigureAwait(false);
            await connection.ReceiveAsync(cancellationToken).ConfigureAwait(false);
            throw;
        }
    }
}
