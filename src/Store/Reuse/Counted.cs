namespace P2PWeights.Store.Reuse;

/// <summary>Something that several use; the last to let go ends it. Made with one user. Thread-safe.</summary>
public abstract class Counted
{
    private int _users = 1;

    /// <summary>Adds a user; false when the last one has gone.</summary>
    public bool TryShare()
    {
        for (var users = Volatile.Read(ref _users); users > 0; users = Volatile.Read(ref _users))
        {
            if (Interlocked.CompareExchange(ref _users, users + 1, users) == users)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Ends one use.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _users) == 0)
        {
            End();
        }
    }

    /// <summary>The last user has gone. Called once.</summary>
    protected abstract void End();
}
