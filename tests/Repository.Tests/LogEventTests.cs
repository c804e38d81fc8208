using System.Reflection;
using Microsoft.Extensions.Logging;

namespace P2PWeights.Repository.Tests;

public sealed class LogEventTests
{
    [Fact]
    public void Log_event_ids_are_given_and_unique_within_each_project()
    {
        var messages = Layers.InOrder.SelectMany(project => Assembly.Load($"P2PWeights.{project}").GetTypes()
            .SelectMany(type => type.GetMethods(BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            .Select(method => (Project: project, Name: $"{method.DeclaringType!.Name}.{method.Name}", Log: method.GetCustomAttribute<LoggerMessageAttribute>()))
            .Where(message => message.Log is not null)).ToList();

        Assert.NotEmpty(messages);
        Assert.All(messages, message => Assert.True(message.Log!.EventId > 0, $"{message.Name} has no event id"));
        Assert.All(messages.GroupBy(message => (message.Project, message.Log!.EventId)), same =>
            Assert.True(same.Count() == 1, $"{same.Key.Project}: event {same.Key.EventId} is {string.Join(" and ", same.Select(message => message.Name))}"));
    }

    [Fact]
    public void Log_messages_stand_in_one_file_per_project()
    {
        var files = Repository.Files("src", "*.cs").Where(path => File.ReadAllText(path).Contains("[LoggerMessage(", StringComparison.Ordinal)).Select(Repository.Relative).ToList();
        Assert.All(files, path => Assert.Matches(@"^src/\w+/\w+Log\.cs$", path));
        Assert.Equal(files.Count, files.DistinctBy(Path.GetDirectoryName).Count());
    }
}
