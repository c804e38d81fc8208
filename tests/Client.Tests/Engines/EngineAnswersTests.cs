using System.Globalization;
using System.Text;
using P2PWeights.Client.Engines;
using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.Engines;

/// <summary>Against an HTTP server that answers every request with the same bytes.</summary>
public sealed class EngineAnswersTests
{
    private const string Device = """{"protocol":1,"device":"host-0","state":"new","checkpoint":null}""";

    private static readonly EngineOptions Options = new();

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("""{"device":null}""")]
    [InlineData("""{"device":7}""")]
    [InlineData("""{"device":"host-\u001b[31m"}""")]
    [InlineData("""{"device":"GPU-../../x"}""")]
    [InlineData("<html>")]
    public async Task An_answer_that_names_no_device_is_refused(string answer)
    {
        await using var server = Answering("200 OK", answer);
        var failure = await Assert.ThrowsAsync<EngineException>(() => ConnectAsync(server));
        Assert.Equal(EngineError.Protocol, failure.Error);
        Assert.DoesNotContain('\u001b', failure.Message);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"sha256":[]}""")]
    [InlineData("""{"sha256":["00"]}""")]
    [InlineData("""{"sha256":["xx"]}""")]
    [InlineData("""{"sha256":[null,null]}""")]
    [InlineData("""{"sha256":[1]}""")]
    [InlineData("""{"sha256":"00"}""")]
    public async Task An_answer_without_a_digest_per_tensor_is_refused(string answer)
    {
        await using var server = Answering("200 OK", answer, first: Device);
        await using var engine = await ConnectAsync(server);
        Assert.Equal(EngineError.Protocol, (await Assert.ThrowsAsync<EngineException>(() => engine.HashAsync(["t"], default))).Error);
    }

    [Fact]
    public async Task An_answer_without_end_is_not_read_to_its_end()
    {
        await using var server = new ScriptedListener(async (stream, cancellationToken) =>
        {
            await ReadHeadAsync(stream, cancellationToken);
            await stream.WriteAsync("HTTP/1.1 200 OK\r\n\r\n"u8.ToArray(), cancellationToken);
            while (true)
            {
                await stream.WriteAsync(new byte[1 << 16], cancellationToken);
            }
        });
        Assert.Equal(EngineError.Died, (await Assert.ThrowsAsync<EngineException>(() => ConnectAsync(server))).Error);
    }

    [Theory]
    [InlineData("200 OK", """{"success":false,"message":"no loader\u0007"}""", "no loader\\u0007")]
    [InlineData("200 OK", """{"success":false}""", "does not say why")]
    [InlineData("200 OK", """{"success":false,"message":"no file \udcff"}""", "cannot be read")]
    [InlineData("200 OK", "", "with nothing")]
    [InlineData("200 OK", "{}", "answered '{}'")]
    [InlineData("200 OK", """{"success":"yes"}""", "did not say whether the update succeeded")]
    [InlineData("200 OK", "<html>\nWelcome\u0007", "answered 'Welcome\\u0007'")]
    [InlineData("400 Bad Request", """{"success":false,"message":"no loader"}""", "no loader")]
    [InlineData("500 Internal Server Error", "Traceback\nValueError: no loader\n", "ValueError: no loader")]
    public async Task A_failure_at_the_end_is_refused_with_its_text(string status, string answer, string shown)
    {
        await using var server = Answering(status, answer, first: Device);
        await using var engine = await ConnectAsync(server);
        await using var channel = Assert.Single(engine.BeginUpdate("m@v1"));
        var failure = await Assert.ThrowsAsync<EngineException>(() => channel.OpenAsync(new HostSlotMemory("/dev/shm/none", 1), default));
        Assert.Equal(EngineError.Refused, failure.Error);
        Assert.Contains(shown, failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("null")]
    public async Task What_vllm_answers_besides_its_status_is_its_own_affair(string answer)
    {
        await using var call = new EngineUpdateCall("vllm", EngineKind.Vllm, 1, _ => Task.FromResult<ReadOnlyMemory<byte>>(Encoding.UTF8.GetBytes(answer)), TimeSpan.Zero);
        Assert.Null(await call.Verdict);
    }

    [Fact]
    public async Task A_failure_that_nobody_thought_of_is_a_refusal_with_its_text_and_ends_all_waits()
    {
        await using var call = new EngineUpdateCall("odd", EngineKind.Python, 1, _ => throw new ArithmeticException("2 and 2 are 5\u001b"), TimeSpan.Zero);

        var verdict = await call.Verdict;

        Assert.Equal(EngineError.Refused, verdict!.Error);
        Assert.Contains("2 and 2 are 5\\u001b", verdict.Message, StringComparison.Ordinal);
        Assert.True(call.Failed.IsCancellationRequested && call.Ended.IsCancellationRequested);
    }

    [Fact]
    public async Task An_update_whose_ranks_all_know_that_it_failed_ends_with_the_engines_answer()
    {
        var answer = new TaskCompletionSource<ReadOnlyMemory<byte>>(TaskCreationOptions.RunContinuationsAsynchronously);
        var call = new EngineUpdateCall("slow", EngineKind.Python, 2, stop => answer.Task.WaitAsync(stop), TimeSpan.FromMinutes(1));
        call.Abandon("it was cancelled", isTold: true);
        await call.DisposeAsync();
        call.Abandon("it was cancelled", isTold: true);
        var ended = call.DisposeAsync().AsTask();
        Assert.False(ended.IsCompleted);

        answer.SetResult("""{"success": false, "message": "the node gave up"}"""u8.ToArray());

        await ended;
        Assert.Contains("the node gave up", (await call.Verdict)!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_update_with_a_rank_that_does_not_know_yet_ends_without_the_engines_answer()
    {
        var call = new EngineUpdateCall("stuck", EngineKind.Python, 2, NeverAsync, TimeSpan.FromDays(1));
        call.Abandon("it was cancelled", isTold: false);
        await call.DisposeAsync();
        call.Abandon("it was cancelled", isTold: true);
        await call.DisposeAsync();

        Assert.Equal(EngineError.Died, (await call.Verdict)!.Error);

        static async Task<ReadOnlyMemory<byte>> NeverAsync(CancellationToken stop)
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, stop);
            return default;
        }
    }

    private static Task<Engine> ConnectAsync(ScriptedListener server) => Engine.ConnectAsync(EngineAddress.Parse($"python+http://{server.EndPoint}"), [], Options, default);

    /// <param name="first">The answer to the first request, when it is another.</param>
    private static ScriptedListener Answering(string status, string answer, string? first = null)
    {
        var requests = 0;
        return new ScriptedListener(async (stream, cancellationToken) =>
        {
            await ReadHeadAsync(stream, cancellationToken);
            var isFirst = Interlocked.Increment(ref requests) == 1 && first is not null;
            var body = Encoding.UTF8.GetBytes(isFirst ? first! : answer);
            var head = string.Create(CultureInfo.InvariantCulture, $"HTTP/1.1 {(isFirst ? "200 OK" : status)}\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n");
            await stream.WriteAsync((byte[])[.. Encoding.ASCII.GetBytes(head), .. body], cancellationToken);

            // Until the client has closed: a body that was not read would reset the connection under the answer.
            var rest = new byte[4096];
            while (await stream.ReadAsync(rest, cancellationToken) > 0)
            {
            }
        });
    }

    private static async Task ReadHeadAsync(Stream stream, CancellationToken cancellationToken)
    {
        var head = new StringBuilder();
        var one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal) && await stream.ReadAsync(one, cancellationToken) > 0)
        {
            head.Append((char)one[0]);
        }
    }
}
