"""What an update is applied to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ._slots import IncomingTensor

if TYPE_CHECKING:
    import torch


class Target(Protocol):
    """What an engine's weights are. All methods are called by one thread at a time; what they raise fails the update, and the node shows it."""

    def begin(self) -> None:
        """An update starts. Changes no weights: they are of two checkpoints from the first :meth:`load` on, until :meth:`finish` returns."""

    def load(self, tensors: Sequence[IncomingTensor]) -> None:
        """Takes a bucket: whole tensors, each once in an update, in no promised order. Copies what it keeps, or queues the copies on the GPU."""

    def finish(self) -> None:
        """Every tensor was loaded, and the slots are closed: what is left to do before the weights are of use."""

    def read(self, name: str) -> Any:
        """The tensor that is held now under a name of the checkpoint, as a torch tensor or an object with the buffer protocol, byte for byte as it came.

        :raises KeyError: there is none, or it is not kept as it came.
        :raises NotImplementedError: none can be read back.
        """


class Callback:
    """Hands every bucket to a function.

    :param read: gives back the bytes of a tensor, for ``p2pw update --verify``; raises ``KeyError`` for one that is not held.
    """

    def __init__(
        self,
        load: Callable[[Sequence[IncomingTensor]], None],
        *,
        finish: Callable[[], None] | None = None,
        read: Callable[[str], Any] | None = None,
    ) -> None:
        self._load, self._finish, self._read = load, finish, read

    def begin(self) -> None:
        pass

    def load(self, tensors: Sequence[IncomingTensor]) -> None:
        self._load(tensors)

    def finish(self) -> None:
        if self._finish is not None:
            self._finish()

    def read(self, name: str) -> Any:
        if self._read is None:
            raise NotImplementedError("its Callback has no read")
        return self._read(name)


class StateDict:
    """Copies tensors into those of a state dict, in place, so that whoever uses them (a model, a CUDA graph) sees the new values.

    Shape and dtype must be the checkpoint's: a silent conversion would leave other weights than those that were published.

    :param tensors: e.g. ``model.state_dict()``, whose tensors share their memory with the model.
    :param rename: from a checkpoint's name to the state dict's, or to ``None`` for a tensor that is passed over; by default the same.
    :param partial: when true, tensors of the state dict that the checkpoint does not bring keep their values; else that is an error.
    :param finish: called after the last bucket.
    """

    def __init__(
        self,
        tensors: Mapping[str, torch.Tensor],
        *,
        rename: Callable[[str], str | None] | None = None,
        partial: bool = False,
        finish: Callable[[], None] | None = None,
    ) -> None:
        self._tensors = dict(tensors)
        self._rename = rename or (lambda name: name)
        self._partial = partial
        self._finish = finish
        self._missing: set[str] = set()

    def begin(self) -> None:
        self._missing = set(self._tensors)

    def load(self, tensors: Sequence[IncomingTensor]) -> None:
        import torch

        with torch.no_grad():
            for incoming in tensors:
                name = self._rename(incoming.name)
                if name is None:
                    continue
                target = self._tensors.get(name)
                if target is None:
                    raise KeyError(f"the state dict has no {name!r} for the checkpoint's {incoming.name!r}; rename can map it, or pass it over")
                if tuple(target.shape) != incoming.shape or target.dtype != getattr(torch, incoming.dtype):
                    raise ValueError(f"{name!r} is {target.dtype} {list(target.shape)}, and the checkpoint's {incoming.name!r} is torch.{incoming.dtype} {list(incoming.shape)}")
                target.copy_(incoming.tensor(), non_blocking=True)
                self._missing.discard(name)

    def finish(self) -> None:
        if self._missing and not self._partial:
            some = ", ".join(sorted(self._missing)[:5])
            raise ValueError(f"the checkpoint did not bring {len(self._missing)} tensors of the state dict: {some}; partial=True lets them be")
        if self._finish is not None:
            self._finish()

    def read(self, name: str) -> Any:
        held = self._rename(name)
        if held is None:
            raise KeyError(name)
        return self._tensors[held]
