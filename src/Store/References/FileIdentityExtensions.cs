namespace P2PWeights.Store.References;

internal static class FileIdentityExtensions
{
    /// <summary>Whether two identities are of the same file, whatever was written to it in between.</summary>
    public static bool IsSameInode(this FileIdentity one, FileIdentity other) => (one.Device, one.Inode) == (other.Device, other.Inode);
}
