return await P2PWeights.Cli.CommandLine.RunAsync(args);
