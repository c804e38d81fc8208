"""Test of the package p2pweights with torch on a GPU: another process owns the slots, as plain memory of the CUDA driver, and leads the update.

    PYTHONPATH=src/Client/python python3 tests/Client.Tests/Engines/Python/test_cuda.py

Needs torch and a GPU; says so, and ends well, where they are missing.
"""

import ctypes
import hashlib
import os
import pickle
import random
import socket
import struct
import subprocess
import sys

SLOTS_BYTES, SLOT_BYTES = 4 << 20, 1 << 20


def receiver(address, device):
    """The engine: random weights, one update, and the digests of what it holds then."""
    import torch
    from p2pweights._digest import sha256_all
    from p2pweights.engine import StateDict, receive

    weights = {
        "a": torch.randn(300, 100, device=device).to(torch.bfloat16),
        "b": torch.randn((), device=device),
        "c": torch.zeros(500, 100, dtype=torch.float8_e4m3fn, device=device),
        "d": torch.zeros(0, 3, dtype=torch.int64, device=device),
    }
    places = {name: tensor.data_ptr() for name, tensor in weights.items()}
    target = StateDict(weights)
    receive(address, target, device=device, timeout=120)
    assert places == {name: tensor.data_ptr() for name, tensor in weights.items()}, "weights moved"
    print(" ".join(sha256_all(target.read, sorted(weights))))


class Node:
    """The node's side, as bare bytes: it must not share code with what is tested."""

    def __init__(self, name):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind("\0" + name)
        self.listener.listen()
        self.listener.settimeout(120)

    def accept(self):
        self.engine, _ = self.listener.accept()
        self.engine.settimeout(120)
        self.engine.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48) + b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03REQ")
        assert len(self.exactly(64 + 27)) == 91

    def exactly(self, count):
        received = b""
        while len(received) < count:
            more = self.engine.recv(count - len(received))
            assert more, "the engine went away"
            received += more
        return received

    def ask(self, body):
        self.engine.sendall(b"\x01\x00\x02" + struct.pack(">Q", len(body)) + body)
        assert self.exactly(2) == b"\x01\x00"
        flags = self.exactly(1)[0]
        answer = self.exactly(int.from_bytes(self.exactly(8 if flags & 2 else 1), "big"))
        assert answer == b"", answer.decode()


class Name:
    """Pickled as the name of a module's member."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Pickler(pickle._Pickler):
    dispatch = dict(pickle._Pickler.dispatch)

    def save_name(self, value):
        self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())

    dispatch[Name] = save_name


def dumps(value):
    import io

    output = io.BytesIO()
    Pickler(output, 3).dump(value)
    return output.getvalue()


class Driver:
    """Plain device memory, which has a CUDA IPC handle."""

    def __init__(self, index):
        self.cuda = ctypes.CDLL("libcuda.so.1")
        device, context, self.pointer = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
        self.check(self.cuda.cuInit(0))
        self.check(self.cuda.cuDeviceGet(ctypes.byref(device), index))
        self.check(self.cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device))
        self.check(self.cuda.cuCtxSetCurrent(context))
        self.check(self.cuda.cuMemAlloc_v2(ctypes.byref(self.pointer), ctypes.c_size_t(SLOTS_BYTES)))
        self.handle = (ctypes.c_ubyte * 64)()
        self.check(self.cuda.cuIpcGetMemHandle(self.handle, self.pointer))

    def write(self, offset, content):
        self.check(self.cuda.cuMemcpyHtoD_v2(ctypes.c_uint64(self.pointer.value + offset), content, ctypes.c_size_t(len(content))))

    def free(self):
        self.check(self.cuda.cuMemFree_v2(self.pointer))

    @staticmethod
    def check(code):
        assert code == 0, f"CUDA error {code}"


def update(index):
    driver = Driver(index)
    name = f"p2pw-test-{os.getpid()}-{index}"
    node = Node(name)
    engine = subprocess.Popen([sys.executable, __file__, f"ipc://@{name}", f"cuda:{index}"], stdout=subprocess.PIPE, text=True)
    try:
        node.accept()
        handle = b"\x01c" + bytes(driver.handle)
        node.ask(
            dumps(
                (
                    Name("torch.multiprocessing.reductions", "rebuild_cuda_tensor"),
                    (
                        *(Name("torch", "Tensor"), (SLOTS_BYTES,), (1,), 0, Name("torch.storage", "TypedStorage"), Name("torch", "uint8"), 0),
                        *(handle, SLOTS_BYTES, 0, False, b"/p2pweights-none", 0, bytes(64), False),
                    ),
                )
            )
        )
        seed = random.randrange(1 << 30)
        source, digests, slot = random.Random(seed), {}, 0
        for bucket in ([("a", "bfloat16", (300, 100), 2), ("b", "float32", (), 4)], [("c", "float8_e4m3fn", (500, 100), 1)], [("d", "int64", (0, 3), 8)]):
            offset, records = slot * SLOT_BYTES, []
            for tensor, dtype, shape, size in bucket:
                for dimension in shape:
                    size *= dimension
                content = source.randbytes(size)
                if content:
                    driver.write(offset, content)
                records.append({"name": tensor, "dtype": Name("torch", dtype), "shape": shape, "offset": offset})
                digests[tensor] = hashlib.sha256(content).hexdigest()
                offset += (size + 255) // 256 * 256
            node.ask(dumps(records))
            # The engine has answered, so the slot may be overwritten.
            driver.write(slot * SLOT_BYTES, bytes(SLOT_BYTES))
            slot += 1
        node.ask(dumps(None))
        driver.free()
        node.ask(dumps(None))
        output, _ = engine.communicate(timeout=120)
        assert engine.returncode == 0
        assert output.split() == [digests[tensor] for tensor in sorted(digests)], f"seed {seed}: {output}"
    finally:
        if engine.poll() is None:
            engine.kill()
            engine.wait()


def main():
    try:
        import torch
    except ImportError:
        print("skipped: no torch")
        return
    if not torch.cuda.is_available():
        print("skipped: no GPU")
        return
    for index in range(torch.cuda.device_count()):
        update(index)
        print(f"cuda:{index} ok")


if len(sys.argv) == 3:
    receiver(sys.argv[1], sys.argv[2])
else:
    main()
