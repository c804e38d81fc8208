using P2PWeights.Transfer.Paths.Rdma;

namespace P2PWeights.Transfer.Tests.Paths.Rdma;

public sealed class SpinBudgetTests
{
    [Fact]
    public void Nothing_is_polled_for_while_nothing_is_outstanding() => Assert.Equal(TimeSpan.Zero, new SpinBudget().Next(outstanding: 0));

    [Fact]
    public void Long_waits_end_the_polling()
    {
        var budget = new SpinBudget();
        for (var i = 0; i < 10; i++)
        {
            budget.Came(TimeSpan.FromMilliseconds(1));
        }

        Assert.Equal(TimeSpan.Zero, budget.Next(outstanding: 1));
    }

    [Fact]
    public void Short_waits_bring_it_back_up_to_the_longest_and_no_further()
    {
        var budget = new SpinBudget();
        for (var i = 0; i < 10; i++)
        {
            budget.Came(TimeSpan.FromMilliseconds(1));
        }

        budget.Came(TimeSpan.FromMicroseconds(1));
        Assert.Equal(SpinBudget.Shortest, budget.Next(outstanding: 1));

        budget.Came(SpinBudget.Longest * 0.9);
        Assert.Equal(SpinBudget.Longest, budget.Next(outstanding: 1));
    }
}
