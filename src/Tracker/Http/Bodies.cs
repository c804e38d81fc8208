using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using P2PWeights.Store.Serialization;
using P2PWeights.Tracker.Wire;

namespace P2PWeights.Tracker.Http;

/// <summary>Reads and writes bodies in the encoding that the request chooses.</summary>
internal static class Bodies
{
    public const string MessagePackType = "application/msgpack";
    public const string JsonType = "application/json";

    private const int FirstBufferBytes = 64 << 10;

    /// <summary>Encoding for the answer: MessagePack for those who ask for it, JSON for all others (which is <c>curl</c>).</summary>
    public static BodyEncoding AnswerEncoding(HttpRequest request) =>
        request.Headers.Accept.ToString().Contains(MessagePackType, StringComparison.OrdinalIgnoreCase) ? BodyEncoding.MessagePack : BodyEncoding.Json;

    /// <summary>Reads a body of at most <paramref name="limit"/> bytes.</summary>
    /// <exception cref="ApiException">It is longer, or not the message that it should be.</exception>
    public static async Task<T> ReadAsync<T>(HttpContext context, WireFormat<T> format, int limit)
    {
        var encoding = RequestEncoding(context.Request);
        var body = await ReadWholeAsync(context, limit).ConfigureAwait(false);
        try
        {
            return format.Decode(body, encoding);
        }
        catch (MessagePackSerializationException e)
        {
            throw ApiException.BadRequest($"the body cannot be read as MessagePack: {e.Message}");
        }
        catch (JsonException e)
        {
            throw ApiException.BadRequest($"the body cannot be read as JSON: {e.Message}");
        }
    }

    public static async Task WriteAsync<T>(HttpContext context, WireFormat<T> format, T value, int status = StatusCodes.Status200OK)
    {
        var encoding = AnswerEncoding(context.Request);
        var body = format.Encode(value, encoding);
        context.Response.StatusCode = status;
        context.Response.ContentType = encoding == BodyEncoding.Json ? JsonType : MessagePackType;
        context.Response.ContentLength = body.Length;
        await context.Response.BodyWriter.WriteAsync(body, context.RequestAborted).ConfigureAwait(false);
    }

    /// <summary>The reason in an answer of 400 or more; null when the body is no <see cref="ErrorBody"/>, so not from a tracker.</summary>
    public static ErrorBody? ReadError(ReadOnlyMemory<byte> body)
    {
        try
        {
            return WireFormats.Error.Decode(body, BodyEncoding.MessagePack);
        }
        catch (MessagePackSerializationException)
        {
            return null;
        }
    }

    /// <summary>Lets Kestrel refuse a body that announces more bytes, or sends them.</summary>
    public static void Limit(HttpContext context, long bytes)
    {
        if (context.Request.ContentLength > bytes)
        {
            throw ApiException.TooLarge($"the body has {context.Request.ContentLength} bytes, at most {bytes} are taken here");
        }

        context.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>().MaxRequestBodySize = bytes;
    }

    /// <summary>Encoding of the request's body. A bare <c>curl --data</c> says form data; it means JSON.</summary>
    private static BodyEncoding RequestEncoding(HttpRequest request) => request.ContentType?.Split(';')[0].Trim().ToLowerInvariant() switch
    {
        null or "" or MessagePackType or "application/x-msgpack" or "application/vnd.msgpack" => BodyEncoding.MessagePack,
        JsonType or "application/x-www-form-urlencoded" => BodyEncoding.Json,
        var other => throw new ApiException(
            StatusCodes.Status415UnsupportedMediaType, "unsupported_type", $"bodies are {MessagePackType} or {JsonType}, not {other}"),
    };

    private static async Task<ReadOnlyMemory<byte>> ReadWholeAsync(HttpContext context, int limit)
    {
        Limit(context, limit);

        // The announced length is only where the buffer starts: a caller that announces much and sends nothing costs next to nothing.
        using var body = new MemoryStream((int)Math.Min(context.Request.ContentLength ?? 0, FirstBufferBytes));
        await context.Request.Body.CopyToAsync(body, context.RequestAborted).ConfigureAwait(false);
        return body.GetBuffer().AsMemory(0, (int)body.Length);
    }
}
