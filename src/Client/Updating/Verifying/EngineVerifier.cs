using System.Collections.Immutable;
using P2PWeights.Client.Engines;

namespace P2PWeights.Client.Updating.Verifying;

/// <summary>
/// Has engines read every tensor back and compares what they say with the checkpoint's bytes in the store, bucket after bucket. Engines are asked independently of each other, and
/// each bucket is hashed here once, while the first of them reads it.
/// </summary>
/// <param name="progress">Told how many buckets were compared, of each engine.</param>
internal sealed class EngineVerifier(UpdatePlan plan, TensorHasher hasher, IProgress<int>? progress)
{
    /// <summary>What was found of each engine, in the order given. Failures of engines, or of the store, are findings too.</summary>
    /// <exception cref="OperationCanceledException">The caller cancelled.</exception>
    public async Task<IReadOnlyList<EngineVerification>> RunAsync(IReadOnlyList<IEngine> engines, CancellationToken cancellationToken)
    {
        var compared = 0;
        Lazy<Task<ImmutableArray<ReadOnlyMemory<byte>>>>[] digests =
        [
            .. plan.Buckets.Select(bucket => new Lazy<Task<ImmutableArray<ReadOnlyMemory<byte>>>>(
                () => hasher.HashAsync([.. bucket.Tensors.Select(placed => placed.Tensor)], cancellationToken))),
        ];
        return await Task.WhenAll(engines.Select(async engine =>
        {
            var comparison = new TensorComparison();
            try
            {
                foreach (var (bucket, hashed) in plan.Buckets.Zip(digests))
                {
                    ImmutableArray<string> names = [.. bucket.Tensors.Select(placed => placed.Tensor.Name)];
                    comparison.Add(names, await AskAsync(engine, names, hashed.Value, cancellationToken).ConfigureAwait(false), await hashed.Value.ConfigureAwait(false));
                    progress?.Report(Interlocked.Increment(ref compared) / engines.Count);
                }

                return comparison.Conclude();
            }
            catch (EngineException failure) when (failure.Error == EngineError.NotSupported)
            {
                return comparison.BreakOff(VerificationOutcomes.Unsupported, failure.Message);
            }
            catch (Exception failure) when (NodeFailure.TryTranslate(failure, out _))
            {
                return comparison.BreakOff(VerificationOutcomes.Failed, failure.Message);
            }
        })).ConfigureAwait(false);
    }

    /// <summary>However the engine answers, the bucket has been hashed when this returns: no lease is left behind.</summary>
    private static async Task<ImmutableArray<ReadOnlyMemory<byte>>> AskAsync(
        IEngine engine, ImmutableArray<string> names, Task hashing, CancellationToken cancellationToken)
    {
        try
        {
            return await engine.HashAsync(names, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            await hashing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
