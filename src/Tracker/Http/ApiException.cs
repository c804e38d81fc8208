namespace P2PWeights.Tracker.Http;

/// <summary>A request cannot be served, through no fault of the tracker: ends as a status and an <see cref="Wire.ErrorBody"/>.</summary>
/// <param name="status">HTTP status, 400 to 499.</param>
/// <param name="code">Short code for programs.</param>
internal sealed class ApiException(int status, string code, string message) : Exception(message)
{
    public int Status { get; } = status;

    public string Code { get; } = code;

    public static ApiException BadRequest(string message) => new(400, "bad_request", message);

    public static ApiException NotFound(string message) => new(404, "not_found", message);

    public static ApiException TooLarge(string message) => new(413, "too_large", message);
}
