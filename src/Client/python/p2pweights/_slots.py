"""The node's slots, opened in this process."""

from __future__ import annotations

import gc
import mmap
import os
import stat
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ._messages import DTYPE_BYTES, CudaSlots, HostSlots, ProtocolError, Record

if TYPE_CHECKING:
    import torch


class IncomingTensor:
    """One tensor of a bucket, lying in the node's slot: valid until ``load`` returns, so copy what is kept. Never write to it.

    :ivar name: name in the checkpoint.
    :ivar dtype: torch's name of the dtype, e.g. ``"bfloat16"``.
    :ivar shape: dimensions, outermost first.
    """

    __slots__ = ("_slots", "_view", "dtype", "name", "offset", "shape")

    def __init__(self, record: Record, slots: Slots) -> None:
        self.name, self.dtype, self.shape, self.offset = record.name, record.dtype, record.shape, record.offset
        self._slots = slots
        self._view = slots.view(record.offset, record.nbytes)

    @property
    def data(self) -> memoryview:
        """The bytes, row by row, read-only; of an engine on the CPU only."""
        if not isinstance(self._view, memoryview):
            raise TypeError("the tensor lies in GPU memory; use tensor()")
        return self._view

    def tensor(self) -> torch.Tensor:
        """The same bytes as a torch tensor, without a copy."""
        import torch

        dtype = getattr(torch, self.dtype)
        if isinstance(self._view, memoryview):
            if not self._view.nbytes:
                return torch.empty(self.shape, dtype=dtype)
            with warnings.catch_warnings():
                # It cannot be written to, which is meant.
                warnings.simplefilter("ignore", UserWarning)
                return torch.frombuffer(self._view, dtype=dtype).view(self.shape)
        return self._view.view(dtype).view(self.shape)

    def _release(self) -> None:
        if isinstance(self._view, memoryview):
            try:
                self._view.release()
            except BufferError:
                # Somebody kept a view of it, against the rule; then it stays mapped for them.
                pass


class Slots:
    """The memory that holds all slots. ``close`` lets go of it."""

    size: int

    def view(self, offset: int, nbytes: int) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def tensors(self, records: Sequence[Record]) -> list[IncomingTensor]:
        """The tensors of a bucket, checked against the size of the memory."""
        for record in records:
            if record.offset % DTYPE_BYTES[record.dtype] or record.offset + record.nbytes > self.size:
                raise ProtocolError(f"{record} does not lie in {self.size} bytes of slots")
        return [IncomingTensor(record, self) for record in records]


class _HostSlots(Slots):
    def __init__(self, slots: HostSlots) -> None:
        descriptor = os.open(slots.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size < slots.size or slots.size == 0:
                raise ProtocolError(f"{slots.path} is not a file of {slots.size} bytes")
            self._map = mmap.mmap(descriptor, slots.size, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)
        self._all = memoryview(self._map)
        self.size = slots.size

    def view(self, offset: int, nbytes: int) -> memoryview:
        return self._all[offset : offset + nbytes]

    def close(self) -> None:
        try:
            self._all.release()
            self._map.close()
        except BufferError:
            # As above: unmapped when the last view of it goes.
            pass


class _CudaSlots(Slots):
    def __init__(self, slots: CudaSlots, device: torch.device) -> None:
        import torch
        from torch.multiprocessing.reductions import rebuild_cuda_tensor

        arguments = list(slots.arguments)
        # The classes are ours, the device too: its index differs between processes.
        arguments[0], arguments[4], arguments[5], arguments[6] = torch.Tensor, torch.storage.TypedStorage, torch.uint8, device.index
        self._all = rebuild_cuda_tensor(*arguments)
        self.size = self._all.numel()

    def view(self, offset: int, nbytes: int) -> torch.Tensor:
        return self._all[offset : offset + nbytes]

    def close(self) -> None:
        import torch

        torch.cuda.synchronize(self._all.device)
        del self._all
        gc.collect()
        torch.cuda.ipc_collect()
        torch.cuda.empty_cache()


def open_slots(slots: HostSlots | CudaSlots, device: Any) -> Slots:
    """Maps the slots.

    :param device: a ``torch.device`` of a GPU, or ``None`` for the host's memory.
    """
    if isinstance(slots, CudaSlots) != (device is not None):
        raise ProtocolError(f"the slots are in {'GPU' if isinstance(slots, CudaSlots) else 'host'} memory, and the engine's weights are not")
    return _CudaSlots(slots, device) if isinstance(slots, CudaSlots) else _HostSlots(slots)


def is_torch_tensor(value: Any) -> bool:
    """Whether a value is a torch tensor, without an import of torch that nobody else has made."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)
