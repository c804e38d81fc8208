namespace P2PWeights.Client.Updating.Pipeline;

/// <summary>Decides which of two devices is at fault when a copy between them does not end. Pure.</summary>
internal static class StallJudge
{
    /// <summary>
    /// Whether it is the device that the copy goes to: more has stopped on its way there than on its way from the other. Where nothing else tells, it is not, and has to
    /// prove itself: by taking the same bytes from the host.
    /// </summary>
    /// <param name="from">Number of the device that sends.</param>
    /// <param name="to">Number of the device that the copy goes to.</param>
    /// <param name="devices">How many there are.</param>
    /// <param name="quiet">For how long copies from one device to another have not got on; of a device to itself: those from the host. Zero for devices that are out of the update.</param>
    /// <param name="deadline">For a copy.</param>
    public static bool IsReceiverAtFault(int from, int to, int devices, Func<int, int, TimeSpan> quiet, TimeSpan deadline)
    {
        // What has stopped at the same time was given a little later, and is not over its own deadline yet.
        var others = Enumerable.Range(0, devices).ToList();
        return others.Count(sender => sender != from && HasStopped(sender, to)) > others.Count(receiver => receiver != to && HasStopped(from, receiver));

        bool HasStopped(int sender, int receiver) => quiet(sender, receiver) >= deadline / 2;
    }
}
