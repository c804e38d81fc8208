using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Tests.LocalApi;

/// <summary>A node whose answers a test writes: what is tested with it is the way there and back, over a real socket.</summary>
internal sealed class ScriptedNode : INodeApi
{
    public Func<CheckpointPullRequest, IProgress<PullProgress>?, CancellationToken, Task<CheckpointPullReport>> OnPull { get; set; } = (_, _, _) => throw Unexpected();

    public Func<PublishRequest, Task<PublishReport>> OnPublish { get; set; } = _ => throw Unexpected();

    public Func<string, string, IProgress<long>?, Task<VerifyReport>> OnVerify { get; set; } = (_, _, _) => throw Unexpected();

    public Func<IProgress<NodeScrubReport>?, Task<NodeScrubReport>> OnScrub { get; set; } = _ => throw Unexpected();

    public Func<NodeStatus> OnStatus { get; set; } = () => throw Unexpected();

    public Func<IReadOnlyList<PeerStatus>> OnPeers { get; set; } = () => throw Unexpected();

    public Func<string?, IReadOnlyList<CheckpointInfo>> OnList { get; set; } = _ => throw Unexpected();

    public Func<string, CheckpointDetails> OnShow { get; set; } = _ => throw Unexpected();

    public Func<string, PullExplanation> OnWhy { get; set; } = _ => throw Unexpected();

    public Func<string, int, SwarmStatus> OnSwarm { get; set; } = (_, _) => throw Unexpected();

    public Func<UpdateRequest, IProgress<UpdateProgress>?, CancellationToken, Task<UpdateReport>> OnUpdate { get; set; } = (_, _, _) => throw Unexpected();

    public List<string> Done { get; } = [];

    public Task<PublishReport> PublishAsync(PublishRequest request, IProgress<PublishProgress>? progress, CancellationToken cancellationToken) => OnPublish(request);

    public Task<CheckpointPullReport> PullAsync(CheckpointPullRequest request, IProgress<PullProgress>? progress, CancellationToken cancellationToken) =>
        OnPull(request, progress, cancellationToken);

    public Task<UpdateReport> UpdateAsync(UpdateRequest request, IProgress<UpdateProgress>? progress, CancellationToken cancellationToken) =>
        OnUpdate(request, progress, cancellationToken);

    public Task<VerifyReport> VerifyAsync(string folder, string checkpoint, IProgress<long>? bytesHashed, CancellationToken cancellationToken) =>
        OnVerify(folder, checkpoint, bytesHashed);

    public Task<NodeScrubReport> ScrubAsync(IProgress<NodeScrubReport>? progress, CancellationToken cancellationToken) => OnScrub(progress);

    public Task<SwarmStatus> SwarmAsync(string checkpoint, int members, CancellationToken cancellationToken) => Task.FromResult(OnSwarm(checkpoint, members));

    public Task<NodeStatus> StatusAsync(CancellationToken cancellationToken) => Task.FromResult(OnStatus());

    public Task<IReadOnlyList<PeerStatus>> PeersAsync(CancellationToken cancellationToken) => Task.FromResult(OnPeers());

    public Task<PullExplanation> WhyAsync(string checkpoint, CancellationToken cancellationToken) => Task.FromResult(OnWhy(checkpoint));

    public Task<IReadOnlyList<CheckpointInfo>> ListAsync(string? name, CancellationToken cancellationToken) => Task.FromResult(OnList(name));

    public Task<CheckpointDetails> ShowAsync(string checkpoint, CancellationToken cancellationToken) => Task.FromResult(OnShow(checkpoint));

    public Task TagAsync(string checkpoint, string tag, CancellationToken cancellationToken)
    {
        Done.Add($"tag {checkpoint} {tag}");
        return Task.CompletedTask;
    }

    public Task RemoveAsync(string checkpoint, CancellationToken cancellationToken)
    {
        Done.Add($"remove {checkpoint}");
        return Task.CompletedTask;
    }

    private static InvalidOperationException Unexpected() => new("the test did not script this request");
}
