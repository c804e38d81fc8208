"""Reads pickles with Python's own reader, one per line in hex, and prints what they are; torch's names are stand-ins."""

import json
import pickle
import pickletools
import sys

import fake_torch

fake_torch.install()


def describe(value):
    if isinstance(value, fake_torch.Dtype):
        return f"torch.{value.name}"
    if isinstance(value, type) or callable(value):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, bytes):
        return f"bytes {value.hex()}"
    if isinstance(value, BaseException):
        return [type(value).__name__, *value.args]
    if isinstance(value, tuple):
        return {"tuple": [describe(one) for one in value]}
    if isinstance(value, list):
        return [describe(one) for one in value]
    if isinstance(value, dict):
        return {key: describe(one) for key, one in value.items()}
    assert value is None or type(value) in (str, int, bool), type(value)
    return value


for line in sys.stdin:
    data = bytes.fromhex(line)
    # Stricter than the reader: nothing may be left on the stack or behind the end.
    pickletools.dis(data, out=open("/dev/null", "w"))
    assert data.index(b".", len(data) - 1) == len(data) - 1
    print(json.dumps(describe(pickle.loads(data))), flush=True)
