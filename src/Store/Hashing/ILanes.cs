namespace P2PWeights.Store.Hashing;

/// <summary>
/// What <see cref="LaneKernel{TVector, TLanes}"/> needs of a vector of 32-bit words, one word per lane. Static and bound to a struct, so that the
/// compiler makes one straight piece of code per width.
/// </summary>
internal unsafe interface ILanes<TVector>
    where TVector : unmanaged
{
    /// <summary>Whether this CPU has the instructions.</summary>
    static abstract bool IsSupported { get; }

    static abstract TVector Splat(uint word);

    static abstract TVector Add(TVector left, TVector right);

    static abstract TVector Xor(TVector left, TVector right);

    static abstract TVector RotateRight16(TVector words);

    static abstract TVector RotateRight12(TVector words);

    static abstract TVector RotateRight8(TVector words);

    static abstract TVector RotateRight7(TVector words);

    /// <summary>Four words from <paramref name="row"/> into the first four lanes, four from the fourth row after it into the next, and so on.</summary>
    static abstract TVector LoadEveryFourthRow(byte* row, nint stride);

    /// <summary>Transposes the 4 x 4 words that the vectors hold in each 128 bits.</summary>
    static abstract void Transpose(ref TVector a, ref TVector b, ref TVector c, ref TVector d);
}
