using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Syncing;

/// <summary><c>bench tracker</c>: the syncs of thousands of peers against a real tracker process.</summary>
internal static class TrackerBench
{
    /// <summary>Connections that the peers share.</summary>
    private const int Connections = 16;

    /// <summary>Syncs per peer until all have entered and hold a lease from when there were that many: the first to come have shorter ones.</summary>
    private const double JoinSyncs = 2.5;

    /// <summary>Part of the syncs that come from nodes that just started again, and say everything.</summary>
    private const double Restarts = 0.005;

    /// <summary>Heartbeats after the swarm, as a part of its syncs.</summary>
    private const double HeartbeatPart = 0.25;

    private static readonly JsonSerializerOptions CamelCase = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    public static Command CreateCommand()
    {
        var peers = Count("--peers", "Peers, all in one swarm; several to see what their number costs.", 10_000);
        peers.AllowMultipleArgumentsPerToken = true;
        var shards = CountOne("--shards", "Shards of the manifest.", 65_536);
        var rate = CountOne("--rate", "Syncs a second.", 1000);
        var seconds = CountOne("--seconds", "How long the swarm lasts: in that time the largest number of peers pulls everything once.", 60);
        var seed = new Option<int>("--seed") { Description = "Draws arrivals and the peers' order of shards. Default: 1.", DefaultValueFactory = _ => 1 };
        var command = new Command("tracker", "Syncs of simulated peers against a real tracker: latency, memory, processor time.") { peers, shards, rate, seconds, seed };
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var counts = arguments.GetRequiredValue(peers);
            var plan = new Plan(
                arguments.GetValue(shards), arguments.GetValue(rate), arguments.GetValue(seconds), arguments.GetValue(seed), counts.Max());
            foreach (var count in counts)
            {
                await RunAsync(count, plan, FigureWriter.For(arguments), cancellationToken);
            }

            return 0;
        });
        return command;
    }

    private static async Task RunAsync(int peers, Plan plan, FigureWriter writer, CancellationToken cancellationToken)
    {
        var random = new Random(plan.Seed);
        var manifest = TrackerProcess.CreateManifest(plan.Shards);
        await using var tracker = await TrackerProcess.StartAsync(manifest, cancellationToken);
        var connections = Enumerable.Range(0, Connections).Select(_ => new SyncConnection(tracker.Address)).ToList();
        try
        {
            var load = new SyncLoad(connections, plan.Rate, random);
            for (var i = 0; i < peers; i++)
            {
                load.Add(new SimulatedPeer(i, manifest, isPublisher: i == 0, random));
            }

            var syncs = plan.Rate * plan.Seconds;
            writer.Explain(string.Create(
                CultureInfo.InvariantCulture,
                $"{peers} peers x {plan.Shards} shards, {plan.Rate} syncs/s over {Connections} HTTP/2 connections, {plan.Gain} shards gained per sync, seed {plan.Seed}"));
            await PhaseAsync("join", (int)(JoinSyncs * peers), gain: 0, restarts: 0);
            await PhaseAsync("swarm", syncs, plan.Gain, Restarts);
            await PhaseAsync("heartbeat", (int)(syncs * HeartbeatPart), gain: 0, restarts: 0);

            async Task PhaseAsync(string phase, int count, int gain, double restarts)
            {
                var (cpu, own) = (tracker.CpuSeconds(), TrackerProcess.OwnCpuSeconds());
                var resident = new List<long>();
                var latencies = await load.RunAsync(count, gain, restarts, () => resident.Add(tracker.Resident().Now >> 20), cancellationToken);
                Write(writer, $"tracker/{peers}x{plan.Shards}/{phase}", latencies, tracker, tracker.CpuSeconds() - cpu, TrackerProcess.OwnCpuSeconds() - own, resident);
            }
        }
        finally
        {
            connections.ForEach(connection => connection.Dispose());
        }
    }

    private static void Write(
        FigureWriter writer, string name, SyncLatencies syncs, TrackerProcess tracker, double trackerCpu, double ownCpu, List<long> resident)
    {
        var (now, peak) = tracker.Resident();
        resident.Add(now >> 20);
        var result = new
        {
            Name = name,
            Syncs = syncs.Count,
            Rate = Math.Round(syncs.Count / syncs.Seconds, 1),
            syncs.Refused,
            P50Ms = Round(syncs.At(0.5)),
            P99Ms = Round(syncs.At(0.99)),
            P999Ms = Round(syncs.At(0.999)),
            MaxMs = Round(syncs.Max),
            LateP99Ms = Round(syncs.LateAt(0.99)),
            TrackerMicrosecondsPerSync = Round(1e6 * trackerCpu / syncs.Count),
            GeneratorMicrosecondsPerSync = Round(1e6 * ownCpu / syncs.Count),
            TrackerCores = Round(trackerCpu / syncs.Seconds),
            GeneratorCores = Round(ownCpu / syncs.Seconds),
            RequestBytes = syncs.SentPerSync,
            AnswerBytes = syncs.ReceivedPerSync,
            ResidentMiB = Every(resident, 12),
            PeakResidentMiB = peak >> 20,
        };
        Console.Out.WriteLine(writer.Json
            ? JsonSerializer.Serialize(result, CamelCase)
            : string.Create(
                CultureInfo.InvariantCulture,
                $"""
                {name,-34} {result.Syncs} syncs at {result.Rate}/s, {result.Refused} asked for again
                  latency, ms                      p50 {result.P50Ms}  p99 {result.P99Ms}  p99.9 {result.P999Ms}  max {result.MaxMs}; of that sent late by the generator, p99 {result.LateP99Ms}
                  processor time per sync, µs      tracker {result.TrackerMicrosecondsPerSync} ({result.TrackerCores} cores)  generator {result.GeneratorMicrosecondsPerSync} ({result.GeneratorCores} cores)
                  body bytes                       request {result.RequestBytes}  answer {result.AnswerBytes}
                  tracker's memory, MiB            {string.Join(' ', result.ResidentMiB)}; peak {result.PeakResidentMiB}
                """));
    }

    /// <summary>At most so many of a series, evenly, the last among them.</summary>
    private static IReadOnlyList<long> Every(List<long> series, int most)
    {
        var step = Math.Max(1, (series.Count + most - 1) / most);
        return [.. series.Where((_, i) => (series.Count - 1 - i) % step == 0)];
    }

    private static double Round(double value) => Math.Round(value, 2);

    private static Option<int[]> Count(string name, string description, int usual) => new(name)
    {
        Description = string.Create(CultureInfo.InvariantCulture, $"{description} Default: {usual}."),
        DefaultValueFactory = _ => [usual],
        Validators = { result => { if (result.GetValueOrDefault<int[]>() is not { Length: > 0 } counts || counts.Any(count => count < 2)) { result.AddError($"{name} must be 2 or more"); } } },
    };

    private static Option<int> CountOne(string name, string description, int usual) => new(name)
    {
        Description = string.Create(CultureInfo.InvariantCulture, $"{description} Default: {usual}."),
        DefaultValueFactory = _ => usual,
        Validators = { result => { if (result.GetValueOrDefault<int>() < 1) { result.AddError($"{name} must be 1 or more"); } } },
    };

    /// <param name="Largest">The largest number of peers.</param>
    private sealed record Plan(int Shards, int Rate, int Seconds, int Seed, int Largest)
    {
        /// <summary>The same for any number of peers, so that a sync says as much: fewer peers start over.</summary>
        public int Gain => (int)Math.Clamp((long)Shards * Largest / ((long)Rate * Seconds), 1, Shards);
    }
}
