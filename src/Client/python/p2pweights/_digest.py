"""SHA-256 of tensors, on all cores: ``hashlib`` lets other threads run while it hashes."""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ._slots import is_torch_tensor

# A tensor in GPU memory is copied to the host piece by piece: room for this many bytes per thread is all that it takes.
_PIECE_BYTES = 64 << 20


def sha256_all(read: Callable[[str], Any], names: Sequence[str]) -> list[str | None]:
    """The digest of each tensor, in hex digits; ``None`` where ``read`` raises ``KeyError``. It gives torch tensors or objects with the buffer protocol."""
    with ThreadPoolExecutor(max_workers=max(1, min(len(names), os.cpu_count() or 1, 16))) as pool:
        return list(pool.map(lambda name: _sha256_of(read, name), names))


def _sha256_of(read: Callable[[str], Any], name: str) -> str | None:
    try:
        value = read(name)
    except KeyError:
        return None
    return _sha256(value)


def _sha256(value: Any) -> str:
    digest = hashlib.sha256()
    if not is_torch_tensor(value):
        with memoryview(value) as view:
            digest.update(view.cast("B") if view.nbytes else b"")
        return digest.hexdigest()

    import torch

    # A tensor of one dimension has bytes in the order of its elements, whatever its strides were.
    flat = value.detach().reshape(-1).view(torch.uint8)
    for at in range(0, flat.numel(), _PIECE_BYTES):
        piece = flat[at : at + _PIECE_BYTES].cpu()
        # Not through numpy, which torch can do without.
        digest.update((ctypes.c_ubyte * piece.numel()).from_address(piece.data_ptr()))
    return digest.hexdigest()
