"""The messages of an update: what the node sends is a pickle, of which only the few shapes of the protocol are let through."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from typing import Any

#: Bytes of one element, by torch's name for the dtype.
DTYPE_BYTES: dict[str, int] = {
    **dict.fromkeys(("bool", "uint8", "int8", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float8_e4m3fnuz", "float8_e5m2fnuz"), 1),
    **dict.fromkeys(("uint16", "int16", "float16", "bfloat16"), 2),
    **dict.fromkeys(("uint32", "int32", "float32"), 4),
    **dict.fromkeys(("uint64", "int64", "float64", "complex64"), 8),
}


class ProtocolError(Exception):
    """The node sent something that is not the protocol."""


@dataclass(frozen=True)
class HostSlots:
    """Slots in a file that both processes map."""

    path: str
    size: int


@dataclass(frozen=True)
class CudaSlots:
    """Slots in GPU memory: the arguments of torch's ``rebuild_cuda_tensor``, without its classes."""

    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Record:
    """Where one tensor lies in the slots."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def nbytes(self) -> int:
        count = DTYPE_BYTES[self.dtype]
        for dimension in self.shape:
            count *= dimension
        return count


@dataclass(frozen=True)
class _Name:
    """Stands for a member of a module, which is never imported."""

    module: str
    name: str


_REBUILD = _Name("torch.multiprocessing.reductions", "rebuild_cuda_tensor")
_KNOWN = frozenset((_REBUILD, _Name("torch", "Tensor"), _Name("torch.storage", "TypedStorage"), *(_Name("torch", dtype) for dtype in DTYPE_BYTES)))


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch", "Size"):
            return tuple
        if (module, name) == ("builtins", "RuntimeError"):
            return RuntimeError
        if _Name(module, name) in _KNOWN:
            return _Name(module, name)
        raise ProtocolError(f"a message names {module}.{name}")


def _decode(message: bytes) -> Any:
    try:
        return _Unpickler(io.BytesIO(message)).load()
    except ProtocolError:
        raise
    except Exception as error:
        raise ProtocolError(f"a message cannot be read: {error!r}") from error


def decode_slots(message: bytes) -> HostSlots | CudaSlots:
    """The first message: where the slots are."""
    value = _decode(message)
    if isinstance(value, tuple) and len(value) == 3 and value[0] == "host" and isinstance(value[1], str) and _is_count(value[2]):
        return HostSlots(value[1], value[2])
    if isinstance(value, tuple) and len(value) == 2 and value[0] == _REBUILD and isinstance(value[1], tuple) and len(value[1]) == 15:
        return CudaSlots(value[1])
    if isinstance(value, RuntimeError):
        raise value
    raise ProtocolError(f"the first message is {type(value).__name__}, not where the slots are")


def decode_step(message: bytes) -> list[Record] | None:
    """A later message: a bucket, or ``None`` for the end.

    :raises RuntimeError: the node says that the update has failed.
    """
    value = _decode(message)
    if value is None:
        return None
    if isinstance(value, RuntimeError):
        raise value
    if isinstance(value, list):
        return [_record(item) for item in value]
    raise ProtocolError(f"a message is {type(value).__name__}, neither a bucket nor the end")


def _record(item: Any) -> Record:
    if not isinstance(item, dict) or item.keys() != {"name", "dtype", "shape", "offset"}:
        raise ProtocolError("a tensor's record does not have name, dtype, shape and offset")
    name, dtype, shape, offset = item["name"], item["dtype"], item["shape"], item["offset"]
    if not isinstance(name, str) or not isinstance(dtype, _Name) or dtype.name not in DTYPE_BYTES:
        raise ProtocolError(f"the record of {name!r} has the dtype {dtype!r}")
    if not isinstance(shape, (tuple, list)) or not all(map(_is_count, shape)) or not _is_count(offset):
        raise ProtocolError(f"the record of {name!r} has the shape {shape!r} at {offset!r}")
    return Record(name, dtype.name, tuple(shape), offset)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0
