using System.Diagnostics;
using System.Text.Json;
using P2PWeights.Cli.Tests.Support;

namespace P2PWeights.Cli.Tests.Updating;

/// <summary>Models of transformers, with random weights: see real_model.py.</summary>
public sealed class RealModelTests
{
    /// <summary>To import transformers alone takes half a minute on a slow machine, in two processes per model.</summary>
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(8);

    [TransformersFact]
    public Task Logits_of_an_updated_model_are_those_of_the_published_one_bit_for_bit() => UpdateAsync("cpu");

    [TransformersFact(gpu: true)]
    public Task Logits_of_a_model_updated_on_a_gpu_are_those_of_the_published_one_bit_for_bit() => UpdateAsync("cuda:0");

    [TransformersFact(gpu: true, "zmq", "checkpoint_engine")]
    public Task Logits_of_a_model_that_checkpoint_engine_s_worker_updated_are_those_of_the_published_one_bit_for_bit() => UpdateAsync("cuda:0", "checkpoint_engine");

    private static async Task UpdateAsync(string device, string worker = "p2pweights")
    {
        string[] arguments = [Path.Combine(AppContext.BaseDirectory, "Updating", "real_model.py"), "--p2pw", P2pw.Executable, "--device", device, "--worker", worker];
        var start = new ProcessStartInfo("python3", arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["PYTHONPATH"] = string.Join(':', Path.Combine(AppContext.BaseDirectory, "python"), Environment.GetEnvironmentVariable("PYTHONPATH")).TrimEnd(':');
        start.Environment["PYTHONDONTWRITEBYTECODE"] = "1";
        using var process = Process.Start(start)!;
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        try
        {
            await process.WaitForExitAsync().WaitAsync(Deadline);
        }
        finally
        {
            process.Kill(entireProcessTree: true);
        }

        Assert.True(process.ExitCode == 0, $"exit code {process.ExitCode}\n{await output}\n{await errors}");
        var results = (await output).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.Equal(["llama", "qwen3"], results.Select(result => result.GetProperty("model").GetString()));
        Assert.All(results, result =>
        {
            Assert.True(result.GetProperty("differed_before").GetBoolean(), "the second process started from other weights");
            Assert.True(result.GetProperty("equal").GetBoolean(), result.ToString());
            Assert.Equal(worker == "p2pweights", result.GetProperty("verified").GetBoolean());
            Assert.True(result.GetProperty("files").GetInt32() > 1, "several files");
        });
    }
}
