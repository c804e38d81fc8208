"""Tests of the package p2pweights with torch on the CPU. Run by PackageTests; ends with a failure when one fails."""

import hashlib
import sys
import tempfile
import unittest

import torch
from p2pweights._digest import sha256_all
from p2pweights._messages import HostSlots, Record
from p2pweights._slots import open_slots
from p2pweights.engine import StateDict


class StateDictTests(unittest.TestCase):
    def setUp(self):
        self.file = tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="p2pw-test-")
        self.file.write(bytes(range(256)) * 4)
        self.file.flush()
        self.addCleanup(self.file.close)
        self.slots = open_slots(HostSlots(self.file.name, 1024), None)

    def incoming(self, *records):
        return self.slots.tensors([Record(*record) for record in records])

    def update(self, target, *records):
        target.begin()
        target.load(self.incoming(*records))
        target.finish()

    def test_values_are_copied_in_place_and_read_back(self):
        model = torch.nn.Linear(4, 2).to(torch.bfloat16)
        before = model.weight.data_ptr()
        target = StateDict(model.state_dict())
        self.update(target, ("weight", "bfloat16", (2, 4), 256), ("bias", "bfloat16", (2,), 512))
        self.assertEqual(before, model.weight.data_ptr())
        self.assertEqual(list(range(16)), model.weight.detach().view(torch.uint8).reshape(-1).tolist())
        self.assertEqual(
            [hashlib.sha256(bytes(range(16))).hexdigest(), hashlib.sha256(bytes(range(4))).hexdigest()],
            sha256_all(target.read, ["weight", "bias"]),
        )

    def test_every_dtype_is_viewed_and_hashed(self):
        for dtype in ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64"):
            for shape in ((), (0,), (2, 3)):
                with self.subTest(dtype=dtype, shape=shape):
                    (incoming,) = self.incoming(("t", dtype, shape, 256))
                    tensor = incoming.tensor()
                    self.assertEqual((getattr(torch, dtype), shape), (tensor.dtype, tuple(tensor.shape)))
                    self.assertEqual([hashlib.sha256(incoming.data).hexdigest()], sha256_all(lambda _: tensor, ["t"]))

    def test_a_transposed_tensor_is_hashed_in_the_order_of_its_elements(self):
        held = torch.arange(6, dtype=torch.uint8).reshape(2, 3).t()
        self.assertEqual([hashlib.sha256(bytes((0, 3, 1, 4, 2, 5))).hexdigest()], sha256_all(lambda _: held, ["t"]))

    def test_another_shape_or_dtype_or_name_is_refused(self):
        target = StateDict({"a": torch.zeros(2, 2)})
        target.begin()
        for wrong in (("a", "float32", (4,), 0), ("a", "float16", (2, 2), 0), ("b", "float32", (2, 2), 0)):
            with self.subTest(wrong=wrong), self.assertRaises((ValueError, KeyError)):
                target.load(self.incoming(wrong))

    def test_tensors_that_did_not_come_are_named_unless_they_may_stay(self):
        with self.assertRaisesRegex(ValueError, "1 tensors of the state dict: b"):
            self.update(StateDict({"a": torch.zeros(1), "b": torch.zeros(1)}), ("a", "float32", (1,), 0))
        done = []
        self.update(StateDict({"a": torch.zeros(1), "b": torch.ones(1)}, partial=True, finish=lambda: done.append(1)), ("a", "float32", (1,), 0))
        self.assertEqual([1], done)

    def test_names_are_mapped_or_passed_over(self):
        held = {"a": torch.zeros(1, dtype=torch.uint8)}
        target = StateDict(held, rename=lambda name: {"model.a": "a"}.get(name))
        self.update(target, ("model.a", "uint8", (1,), 7), ("unused", "uint8", (1,), 8))
        self.assertEqual(7, held["a"].item())
        self.assertEqual(7, target.read("model.a").item())
        with self.assertRaises(KeyError):
            target.read("unused")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
