using System.CommandLine;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Bench.Measuring;
using P2PWeights.Store;
using P2PWeights.Transfer;

namespace P2PWeights.Bench.Paths;

/// <summary>
/// The side whose GPU holds the shards: store and transfer service of the product in a process of its own, because CUDA does not let a process open what it exported itself; a
/// <see cref="SourceProcess"/> to its reader.
/// </summary>
internal static class NvlinkSource
{
    public const string Name = "nvlink-source";

    /// <summary>A command for this program itself.</summary>
    public static Command CreateCommand()
    {
        var gpu = new Option<string>("--gpu") { Required = true };
        var bytes = new Option<long>("--bytes") { Required = true };
        var command = new Command(Name) { gpu, bytes };
        command.Hidden = true;
        command.SetAction((arguments, cancellationToken) => RunAsync(arguments.GetRequiredValue(gpu), arguments.GetRequiredValue(bytes), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(string gpu, long bytes, CancellationToken cancellationToken)
    {
        using var folder = new SharedMemoryFolder();
        var shards = new GpuShards(bytes);
        await using var store = await shards.OpenStoreAsync(folder, gpu, cancellationToken);
        for (var number = 0; number < shards.Manifest.Shards.Length; number++)
        {
            using var write = await store.BeginWriteAsync(shards.Manifest.Shards[number], ShardTarget.InGpu(0), cancellationToken);
            shards.Fill(number, write.Buffer.Span);
            await write.CommitAsync(cancellationToken);
        }

        await using var service = new TransferService(
            store, new TransferOptions { Name = "source", Paths = [PathNames.Nvlink] }, TimeProvider.System, NullLoggerFactory.Instance);
        service.Join(shards.Manifest);
        await service.StartAsync(cancellationToken);
        return await SourceProcess.ServeAsync(store, service, cancellationToken);
    }
}
