namespace P2PWeights.Client.Tests;

public sealed class TeardownTests
{
    [Fact]
    public async Task Part_that_fails_to_end_is_reported_and_keeps_no_other_from_ending()
    {
        var ended = new List<string>();
        var teardown = new Teardown();
        teardown.AddSync(new Part(() => ended.Add("first")));
        teardown.AddSync(new Part(() => throw new IOException("no end")));
        teardown.AddSync(new Part(() => ended.Add("last")));

        var failure = await Assert.ThrowsAsync<AggregateException>(() => teardown.DisposeAsync().AsTask());

        Assert.Equal(["last", "first"], ended);
        Assert.Equal("no end", Assert.Single(failure.InnerExceptions).Message);
    }

    private sealed class Part(Action end) : IDisposable
    {
        public void Dispose() => end();
    }
}
