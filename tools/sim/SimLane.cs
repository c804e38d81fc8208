using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Sim;

/// <summary>One connection that carries shards from a server to a puller, one after another, in slices, as an upload lane does.</summary>
internal sealed class SimLane(SimLink link, Simulation simulation) : IActor, IUploadWaiter
{
    /// <summary>Slices on their way that a connection's buffers hold.</summary>
    private const int Buffered = 3;

    private const int Begin = 0;
    private const int SliceLeft = 1;
    private const int SliceMayGo = 2;
    private const int Arrived = 3;
    private const int PatienceOver = 4;
    private const int Refused = 5;

    private readonly EventQueue _events = simulation.Events;
    private readonly Queue<SimRequest> _asked = new();
    private readonly Queue<SimRequest> _arriving = new();
    private readonly Queue<SimRequest> _refused = new();
    private readonly long[] _passed = new long[Buffered];
    private SimRequest? _waiting;
    private SimRequest? _sending;
    private long _waitsUntil;
    private long _servedSince;
    private int _left;
    private int _slice;
    private bool _isBeginning;

    public Guid Peer => link.Consumer.Id;

    /// <summary>Requests that have not been sent.</summary>
    public int Depth => _asked.Count + (_sending is null && _waiting is null ? 0 : 1);

    public void Ask(SimRequest request)
    {
        _asked.Enqueue(request);
        if (_sending is null && _waiting is null && !_isBeginning)
        {
            BeginAt(request.ReachesAt);
        }
    }

    public void On(int kind)
    {
        if (!link.IsUp)
        {
            return;
        }

        switch (kind)
        {
            case Begin:
                _isBeginning = false;
                BeginNext();
                break;
            case SliceLeft:
                OnSliceLeft();
                break;
            case SliceMayGo:
                SendSlice();
                break;
            case Arrived:
                var arrived = _arriving.Dequeue();
                simulation.OnArrived(link.Server, arrived.Ordinal);
                link.Consumer.Puller!.OnShard(arrived);
                break;
            case PatienceOver when _waiting is not null && _events.Now >= _waitsUntil:
                Refuse();
                break;
            case Refused:
                link.Consumer.Puller!.OnBusy(_refused.Dequeue());
                break;
        }
    }

    public void Granted()
    {
        var next = _waiting!;
        _waiting = null;
        if (next.IsGivenUp)
        {
            link.Server.Server.Slots.Release(Peer);
            BeginNext();
        }
        else
        {
            Serve(next);
        }
    }

    /// <summary>The session ended: a slot is given back, or not waited for.</summary>
    public void Break()
    {
        var server = link.Server.Server;
        if (_waiting is not null)
        {
            server.Slots.GiveUp(this);
            _waiting = null;
        }

        if (_sending is not null)
        {
            _sending = null;
            server.Sent(Peer);
        }
    }

    private void BeginAt(long at)
    {
        _isBeginning = true;
        _events.Add(Math.Max(at, _events.Now), this, Begin);
    }

    private void BeginNext()
    {
        while (_asked.TryPeek(out var next))
        {
            if (next.IsGivenUp)
            {
                _asked.Dequeue();
                continue;
            }

            if (next.ReachesAt > _events.Now)
            {
                BeginAt(next.ReachesAt);
                return;
            }

            _asked.Dequeue();
            var slots = link.Server.Server.Slots;
            if (slots.TakeOrWait(this))
            {
                Serve(next);
            }
            else
            {
                _waiting = next;
                _waitsUntil = _events.Now + Simulation.Nanoseconds(slots.Patience);
                _events.Add(_waitsUntil, this, PatienceOver);
            }

            return;
        }
    }

    private void Refuse()
    {
        if (link.Server.Server.Slots.GiveUp(this))
        {
            _refused.Enqueue(_waiting!);
            _waiting = null;
            _events.Add(_events.Now + simulation.Latency, this, Refused);
            BeginNext();
        }
    }

    private void Serve(SimRequest next)
    {
        _sending = next;
        _left = simulation.Options.ShardBytes;
        _servedSince = _events.Now;
        link.Server.Server.Begins(next.Ordinal);
        SendSlice();
    }

    private void SendSlice() => _events.Add(link.Server.Up.Pass(_events.Now, NextSlice()), this, SliceLeft);

    private int NextSlice() => Math.Min(_left, simulation.SliceBytes);

    private void OnSliceLeft()
    {
        var bytes = NextSlice();
        _left -= bytes;
        var arrives = simulation.Network.Cross(link, _events.Now + simulation.Latency, bytes);
        _passed[_slice++ % Buffered] = link.Consumer.Down.Pass(arrives, bytes);
        link.Received += bytes;
        if (_left == 0)
        {
            EndShard();
        }
        else if (_passed[_slice % Buffered] is var room && room > _events.Now)
        {
            _events.Add(room, this, SliceMayGo);
        }
        else
        {
            SendSlice();
        }
    }

    private void EndShard()
    {
        _arriving.Enqueue(_sending!);
        _events.Add(_passed[(_slice - 1) % Buffered], this, Arrived);
        _sending = null;
        link.Server.Server.Slots.Held(Simulation.Span(_events.Now - _servedSince));
        link.Server.Server.Sent(Peer);
        BeginNext();
    }
}
