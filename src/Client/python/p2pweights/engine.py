"""An engine: a process into which ``p2pw update --engine URL`` brings checkpoints.

    from p2pweights.engine import Engine, StateDict

    with Engine(StateDict(model.state_dict()), listen="unix:///run/me/engine.sock", device="cuda:0") as engine:
        print(engine.url)                 # for --engine
        while True:
            engine.poll()                 # applies an update that was asked for, between two steps
            step(model)

One engine is one process with one device. Weights are changed in place: when an update fails, :attr:`Engine.state` is ``"torn"`` until another one succeeds.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from . import _server
from ._digest import sha256_all
from ._messages import ProtocolError, Record, decode_slots, decode_step
from ._server import Refusal
from ._slots import IncomingTensor, Slots, open_slots
from ._zmtp import Connection, ConnectionLost
from .targets import Callback, StateDict, Target

__all__ = ["Callback", "ConnectionLost", "Engine", "IncomingTensor", "ProtocolError", "StateDict", "Target", "receive"]


def receive(address: str, target: Target, *, device: str = "cpu", timeout: float | None = 600.0) -> None:
    """Takes part in one update, in the calling thread; returns when it is done.

    :param address: where the node waits, ``ipc://@NAME``.
    :param device: ``"cpu"``, or a GPU as torch names it.
    :param timeout: seconds to wait for each message of the node.
    :raises Exception: the update failed, and the target may hold parts of two checkpoints.
    """
    gpu = _gpu(device)
    with _current(gpu), Connection(address, timeout) as connection:
        _receive(connection, target, gpu)


def _receive(connection: Connection, target: Target, gpu: Any) -> None:
    first = connection.receive()
    with _told(connection):
        slots = open_slots(decode_slots(first), gpu)
    try:
        with _told(connection):
            target.begin()
        connection.reply()
        while (records := decode_step(connection.receive())) is not None:
            with _told(connection):
                _load(target, slots, records, gpu)
            connection.reply()
    finally:
        slots.close()
    # The slots are closed before what follows, which may need their room.
    connection.reply()
    if decode_step(connection.receive()) is not None:
        raise ProtocolError("a bucket came after the end")
    with _told(connection):
        target.finish()
        _synchronize(gpu)
    connection.reply()


def _load(target: Target, slots: Slots, records: list[Record], gpu: Any) -> None:
    tensors = slots.tensors(records)
    try:
        target.load(tensors)
        _synchronize(gpu)
    finally:
        for tensor in tensors:
            tensor._release()


@dataclass
class _Job:
    address: str
    checkpoint: str | None
    done: threading.Event = field(default_factory=threading.Event)
    failure: str | None = None


class _Watched:
    """A target that says when an update begins to change it."""

    def __init__(self, target: Target, begun: Callable[[], None]) -> None:
        self.begin, self.read = target.begin, target.read
        self._target, self._begun = target, begun

    def load(self, tensors: Sequence[IncomingTensor]) -> None:
        self._begun()
        self._target.load(tensors)

    def finish(self) -> None:
        self._begun()
        self._target.finish()


class Engine:
    """Listens for updates, and applies each one when the process says that it is ready: in :meth:`poll`, or in a thread of its own after :meth:`start`.

    :param target: what updates are applied to, e.g. :class:`StateDict` or :class:`Callback`.
    :param listen: ``unix:///PATH``, for processes of the own user alone, or ``http://HOST:PORT``, which anybody who reaches it may use.
    :param device: ``"cpu"``, or a GPU as torch names it.
    :param rank: tells engines on the CPU of one host apart.
    :param timeout: seconds to wait for each message of the node.
    """

    def __init__(self, target: Target, *, listen: str, device: str = "cpu", rank: int = 0, timeout: float | None = 600.0) -> None:
        self._target = target
        self._device = device
        self._timeout = timeout
        self._id = _device_id(device, rank)
        self._jobs: queue.Queue[_Job | None] = queue.Queue()
        self._under_way = threading.Lock()
        self._thread: threading.Thread | None = None
        self._state = "new"
        self._checkpoint: str | None = None
        self._server, self._url = _server.listen(
            listen,
            {
                ("GET", "/p2pweights"): self._describe,
                ("POST", "/p2pweights/hash"): self._hash,
                ("POST", "/update_weights_from_ipc"): self._update,
            },
        )
        self._serving = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="p2pweights", daemon=True)
        self._serving.start()

    @property
    def url(self) -> str:
        """For ``p2pw update --engine``."""
        return self._url

    @property
    def checkpoint(self) -> str | None:
        """``name@version`` of the last update that succeeded."""
        return self._checkpoint

    @property
    def state(self) -> str:
        """``"new"`` before the first update, ``"updating"`` from its first bucket on, ``"whole"``, or ``"torn"``: the last update failed after that, and the weights are of two checkpoints."""
        return self._state

    def poll(self, timeout: float = 0.0) -> bool:
        """Applies an update, if one was asked for within ``timeout`` seconds, and returns when it has ended; true when there was one.

        A failed update is not raised here: the node is told, and :attr:`state` says so.
        """
        try:
            job = self._jobs.get(timeout=timeout) if timeout > 0 else self._jobs.get_nowait()
        except queue.Empty:
            return False
        if job is not None:
            self._run(job)
        return job is not None

    def start(self) -> None:
        """Applies every update in a thread of its own, the moment it is asked for: the target must cope with that."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run_all, name="p2pweights-update", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stops listening. An update under way goes on to its end first when it runs in :meth:`start`'s thread."""
        self._server.shutdown()
        self._serving.join()
        self._server.server_close()
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None
        with contextlib.suppress(queue.Empty):
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    job.failure = "the engine was closed"
                    self._under_way.release()
                    job.done.set()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run_all(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._run(job)

    def _run(self, job: _Job) -> None:
        ended: tuple[str, str | None] | None = None
        try:
            receive(job.address, _Watched(self._target, self._begun), device=self._device, timeout=self._timeout)
            ended = ("whole", job.checkpoint)
        except BaseException as error:
            if self._state == "updating":
                ended = ("torn", None)
            job.failure = "".join(traceback.format_exception(error))
            if not isinstance(error, Exception):
                raise
        finally:
            # Before the state is shown: whoever sees that an update has ended may ask for the next one.
            self._under_way.release()
            if ended is not None:
                self._state, self._checkpoint = ended
            job.done.set()

    def _begun(self) -> None:
        self._state = "updating"

    def _describe(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"protocol": 1, "device": self._id, "state": self._state, "checkpoint": self._checkpoint}

    def _update(self, body: dict[str, Any]) -> dict[str, Any]:
        handles, version = body.get("zmq_handles"), body.get("weight_version")
        if not isinstance(handles, dict) or not isinstance(handles.get(self._id), str) or not isinstance(version, (str, type(None))):
            raise Refusal(HTTPStatus.BAD_REQUEST, f"the request has no address for {self._id}")
        job = _Job(handles[self._id], version)
        if not self._under_way.acquire(blocking=False):
            raise Refusal(HTTPStatus.CONFLICT, "an update of this engine is under way")
        self._jobs.put(job)  # Whoever ends the job releases.
        job.done.wait()
        if job.failure is not None:
            return {"success": False, "message": job.failure}
        return {"success": True, "message": f"holds {version}"}

    def _hash(self, body: dict[str, Any]) -> dict[str, Any]:
        names = body.get("tensors")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise Refusal(HTTPStatus.BAD_REQUEST, "the request has no list of tensors")
        if not self._under_way.acquire(blocking=False):
            raise Refusal(HTTPStatus.CONFLICT, "an update of this engine is under way")
        try:
            return {"sha256": sha256_all(self._target.read, names)}
        except NotImplementedError as error:
            raise Refusal(HTTPStatus.NOT_IMPLEMENTED, f"this engine cannot read its tensors back: {error}") from error
        except Exception as error:
            raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "".join(traceback.format_exception(error))) from error
        finally:
            self._under_way.release()


@contextlib.contextmanager
def _told(connection: Connection) -> Iterator[None]:
    """What is raised inside is answered to the node, whose verdict is awaited, as the protocol has it, and raised on."""
    try:
        yield
    except Exception:
        with contextlib.suppress(OSError):
            connection.reply(traceback.format_exc().encode("utf-8", "backslashreplace"))
            connection.receive()
        raise


def _gpu(device: str) -> Any:
    if device == "cpu":
        return None
    import torch

    gpu = torch.device(device)
    if gpu.type != "cuda":
        raise ValueError(f"device {device!r} is neither cpu nor cuda")
    return torch.device("cuda", gpu.index or 0)


def _current(gpu: Any) -> contextlib.AbstractContextManager[Any]:
    """Makes a GPU the current one of this thread."""
    if gpu is None:
        return contextlib.nullcontext()
    import torch

    return torch.cuda.device(gpu)


def _device_id(device: str, rank: int) -> str:
    gpu = _gpu(device)
    if gpu is None:
        return f"host-{rank}"
    import torch

    return f"GPU-{torch.cuda.get_device_properties(gpu).uuid}"


def _synchronize(gpu: Any) -> None:
    if gpu is not None:
        import torch

        torch.cuda.synchronize(gpu)
