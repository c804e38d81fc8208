"""Enough of torch's names for stock pickles of checkpoint-engine's protocol to load without torch; a "CUDA IPC handle" here is the path of a file, padded
with NULs, so that what a handle leads to can be read for real."""

import math
import mmap
import os
import sys
import types

ITEM_BYTES = {
    **dict.fromkeys(("bool", "uint8", "int8", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float8_e4m3fnuz", "float8_e5m2fnuz"), 1),
    **dict.fromkeys(("uint16", "int16", "float16", "bfloat16"), 2),
    **dict.fromkeys(("uint32", "int32", "float32"), 4),
    **dict.fromkeys(("uint64", "int64", "float64", "complex64"), 8),
}


class Dtype:
    def __init__(self, name):
        self.name, self.itemsize = name, ITEM_BYTES[name]


class Tensor:
    """Bytes of slots, seen as a tensor."""

    def __init__(self, slots, start, stop, dtype=None, shape=None):
        self.slots, self.start, self.stop, self.dtype, self.shape = slots, start, stop, dtype, shape

    def view(self, what=None, dtype=None):
        return Tensor(self.slots, self.start, self.stop, dtype or self.dtype, what if what is not None else self.shape)

    def read(self):
        return self.slots.read(self.start, self.stop - self.start)


class Size(tuple):
    def numel(self):
        return math.prod(self)


class TypedStorage:
    pass


def rebuild_cuda_tensor(
    cls, size, stride, tensor_offset, storage_class, dtype, device, handle, storage_bytes, storage_offset, requires_grad, counter, slot, event, event_sync
):
    """Checks every argument like torch's C++ does, and opens the handle."""
    assert cls is Tensor and storage_class is TypedStorage and dtype is uint8, (cls, storage_class, dtype)
    assert type(handle) is bytes and len(handle) == 66 and handle[:2] == b"\x01c", handle
    assert type(counter) is bytes and type(event) is bytes and len(event) == 64 and event_sync is False and requires_grad is False and type(slot) is int
    assert size == (storage_bytes,) and stride == (1,) and tensor_offset == 0, (size, stride, tensor_offset)
    assert device == "the worker's own", device
    descriptor = os.open(handle[2:].rstrip(b"\0"), os.O_RDONLY)
    try:
        with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as mapped:
            # A copy of what is there now would miss what comes later, so the map is opened anew at each bucket.
            assert storage_offset + storage_bytes <= len(mapped)
    finally:
        os.close(descriptor)
    return Slots(handle[2:].rstrip(b"\0"), storage_offset, storage_bytes)


class Slots:
    def __init__(self, path, offset, size):
        self.path, self.offset, self.size, self.dtype = path, offset, size, uint8

    def __getitem__(self, place):
        return Tensor(self, place.start, place.stop)

    def read(self, offset, length):
        assert 0 <= offset and offset + length <= self.size
        with open(self.path, "rb") as file:
            file.seek(self.offset + offset)
            return file.read(length)


uint8 = Dtype("uint8")


def install():
    torch = types.ModuleType("torch")
    torch.Tensor, torch.Size, torch.dtype, torch.uint8 = Tensor, Size, Dtype, uint8
    torch.cuda = types.SimpleNamespace(is_available=lambda: True, synchronize=lambda: None, empty_cache=lambda: None, ipc_collect=lambda: None)
    for name in ITEM_BYTES:
        if name != "uint8":
            setattr(torch, name, Dtype(name))
    modules = {"torch": torch}
    for name in ("torch.storage", "torch.multiprocessing", "torch.multiprocessing.reductions"):
        modules[name] = types.ModuleType(name)
    modules["torch.storage"].TypedStorage = TypedStorage
    modules["torch.multiprocessing.reductions"].rebuild_cuda_tensor = rebuild_cuda_tensor
    sys.modules.update(modules)
