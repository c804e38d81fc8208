namespace P2PWeights.Cli.Doctor;

/// <summary>What one check found.</summary>
/// <param name="Check">What was looked at.</param>
/// <param name="Outcome">Verdict.</param>
/// <param name="Detail">What there is, and what to do when that is not enough.</param>
internal sealed record Finding(string Check, Outcome Outcome, string Detail);

/// <summary>A verdict.</summary>
internal enum Outcome
{
    /// <summary>As it should be.</summary>
    Ok,

    /// <summary>A fact, neither good nor bad.</summary>
    Note,

    /// <summary>It works, and not as well as it could.</summary>
    Warning,

    /// <summary>A node or tracker would not work like this.</summary>
    Failure,
}
