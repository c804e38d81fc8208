using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Unicode;

namespace P2PWeights.Store.Content;

/// <summary>
/// Reads the JSON of a safetensors header token by token, so that 100 MB of it never become a tree of objects. Stricter than the reference
/// implementation in one point: a name that stands twice is refused, not silently replaced.
/// </summary>
internal ref struct SafetensorsHeaderParser
{
    /// <summary>Most dimensions of a tensor: what NumPy and PyTorch can hold.</summary>
    private const int MaxDimensions = 64;

    private const string MetadataName = "__metadata__";

    /// <summary>The format itself needs three levels; the rest is for fields that are unknown here and passed over.</summary>
    private static readonly JsonReaderOptions Options = new() { MaxDepth = 16 };

    private readonly long _dataOffset;
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);
    private readonly ImmutableArray<SafetensorsTensor>.Builder _tensors = ImmutableArray.CreateBuilder<SafetensorsTensor>();
    private ImmutableDictionary<string, string>? _metadata;
    private Utf8JsonReader _json;

    private SafetensorsHeaderParser(ReadOnlySpan<byte> json)
    {
        _json = new Utf8JsonReader(json, Options);
        _dataOffset = SafetensorsHeader.LengthBytes + json.Length;
    }

    public static SafetensorsHeader Parse(ReadOnlySpan<byte> json, long fileSize)
    {
        if (!json.StartsWith("{"u8))
        {
            throw new SafetensorsException("the header is not a JSON object: it does not start with {");
        }

        if (!Utf8.IsValid(json))
        {
            throw new SafetensorsException("the header is not valid UTF-8");
        }

        var parser = new SafetensorsHeaderParser(json);
        try
        {
            parser.ReadHeader();
        }
        catch (JsonException e)
        {
            throw new SafetensorsException($"the header is not valid JSON at byte {parser._json.BytesConsumed}: {e.Message}", e);
        }

        return parser.Finish(fileSize);
    }

    private void ReadHeader()
    {
        _json.Read(); // the { that is known to be there
        while (NextName() is { } name)
        {
            if (!_names.Add(name))
            {
                throw new SafetensorsException($"the name {PrintableText.Quote(name)} stands twice");
            }

            if (name == MetadataName)
            {
                ReadMetadata();
            }
            else
            {
                ReadTensor(name);
            }
        }

        // Padding may follow; anything else makes this throw.
        _json.Read();
    }

    private void ReadMetadata()
    {
        ExpectNext(JsonTokenType.StartObject, MetadataName, "a map");
        var metadata = ImmutableDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        while (NextName() is { } key)
        {
            ExpectNext(JsonTokenType.String, $"{MetadataName} {PrintableText.Quote(key)}", "a string");
            if (!metadata.TryAdd(key, Text()))
            {
                throw new SafetensorsException($"the key {PrintableText.Quote(key)} stands twice in {MetadataName}");
            }
        }

        _metadata = metadata.ToImmutable();
    }

    private void ReadTensor(string name)
    {
        var what = $"tensor {PrintableText.Quote(name)}";
        ExpectNext(JsonTokenType.StartObject, what, "a map");
        string? dtype = null;
        ImmutableArray<long>? shape = null;
        ImmutableArray<long>? offsets = null;
        while (NextName() is { } field)
        {
            switch (field)
            {
                case "dtype" when dtype is null:
                    ExpectNext(JsonTokenType.String, $"{what}, dtype", "a string");
                    dtype = Text();
                    break;
                case "shape" when shape is null:
                    shape = ReadNumbers($"{what}, shape", MaxDimensions);
                    break;
                case "data_offsets" when offsets is null:
                    offsets = ReadNumbers($"{what}, data_offsets", 2);
                    break;
                case "dtype" or "shape" or "data_offsets":
                    throw new SafetensorsException($"{what}: {field} stands twice");
                default:
                    _json.Skip();
                    break;
            }
        }

        if (dtype is null || shape is null || offsets is null)
        {
            throw new SafetensorsException($"{what}: {(dtype is null ? "dtype" : shape is null ? "shape" : "data_offsets")} is missing");
        }

        _tensors.Add(CheckedTensor(name, what, dtype, shape.Value, offsets.Value));
    }

    private readonly SafetensorsTensor CheckedTensor(string name, string what, string dtype, ImmutableArray<long> shape, ImmutableArray<long> offsets)
    {
        if (offsets.Length != 2 || offsets[1] < offsets[0])
        {
            throw new SafetensorsException($"{what}: data_offsets must be [begin, end] with begin <= end, not [{string.Join(", ", offsets)}]");
        }

        var (begin, end) = (offsets[0], offsets[1]);
        if (end > long.MaxValue - _dataOffset)
        {
            throw new SafetensorsException($"{what}: its end {end} is beyond what a file can hold");
        }

        var elements = 1L;
        foreach (var dimension in shape)
        {
            var product = (Int128)elements * dimension;
            if (product > long.MaxValue)
            {
                throw new SafetensorsException($"{what}: the shape [{string.Join(", ", shape)}] has more elements than 2^63 - 1");
            }

            elements = (long)product;
        }

        if (SafetensorsDType.BitsOf(dtype) is { } bits && (Int128)elements * bits != (Int128)(end - begin) * 8)
        {
            throw new SafetensorsException(
                $"{what}: {dtype} of shape [{string.Join(", ", shape)}] has {(Int128)elements * bits} bits, its data_offsets hold {end - begin} bytes");
        }

        return new SafetensorsTensor(name, dtype, shape, _dataOffset + begin, end - begin);
    }

    private SafetensorsHeader Finish(long fileSize)
    {
        // An empty tensor stands before the one that starts at the same byte.
        _tensors.Sort(static (a, b) =>
            a.Offset != b.Offset ? a.Offset.CompareTo(b.Offset)
            : a.Length != b.Length ? a.Length.CompareTo(b.Length)
            : string.CompareOrdinal(a.Name, b.Name));

        var position = _dataOffset;
        foreach (var tensor in _tensors)
        {
            if (tensor.Offset != position)
            {
                throw new SafetensorsException(
                    $"tensor {PrintableText.Quote(tensor.Name)} begins at byte {tensor.Offset - _dataOffset} of the data, {(tensor.Offset > position ? "leaving a gap after" : "overlapping what comes before")} byte {position - _dataOffset}");
            }

            position += tensor.Length;
        }

        if (position != fileSize)
        {
            throw new SafetensorsException(
                $"the tensors end at byte {position} of the file, which has {fileSize} bytes: {(position > fileSize ? "it is truncated" : "the rest belongs to no tensor")}");
        }

        return new SafetensorsHeader(_dataOffset, _tensors.DrainToImmutable(), _metadata ?? ImmutableDictionary<string, string>.Empty);
    }

    private ImmutableArray<long> ReadNumbers(string what, int maxCount)
    {
        ExpectNext(JsonTokenType.StartArray, what, "an array");
        var numbers = ImmutableArray.CreateBuilder<long>(2);
        while (_json.Read() && _json.TokenType != JsonTokenType.EndArray)
        {
            if (_json.TokenType != JsonTokenType.Number || !_json.TryGetInt64(out var number) || number < 0)
            {
                throw new SafetensorsException($"{what}: whole numbers from 0 to 2^63 - 1 belong there");
            }

            if (numbers.Count == maxCount)
            {
                throw new SafetensorsException($"{what}: more than {maxCount} numbers");
            }

            numbers.Add(number);
        }

        return numbers.DrainToImmutable();
    }

    /// <summary>The next key of the object being read; null at its end.</summary>
    private string? NextName()
    {
        _json.Read();
        return _json.TokenType == JsonTokenType.PropertyName ? Text() : null;
    }

    private void ExpectNext(JsonTokenType type, string what, string wanted)
    {
        _json.Read();
        if (_json.TokenType != type)
        {
            throw new SafetensorsException($"{what}: {wanted} belongs there, not {_json.TokenType}");
        }
    }

    private readonly string Text()
    {
        try
        {
            return _json.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            // System.Text.Json reports \ud800 without its other half this way.
            throw new SafetensorsException($"a string before byte {_json.BytesConsumed} of the header holds half a surrogate pair", e);
        }
    }
}
