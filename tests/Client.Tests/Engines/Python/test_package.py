"""Tests of the package p2pweights that need no node. Run by PackageTests; ends with a failure when one fails."""

import os
import pickle
import socket
import sys
import tempfile
import threading
import unittest

try:
    import zmq
except ImportError:
    sys.exit("the Debian package python3-zmq is missing: apt-get install python3-zmq")

from p2pweights import engine
from p2pweights._messages import CudaSlots, HostSlots, ProtocolError, Record, decode_slots, decode_step
from p2pweights._slots import open_slots
from p2pweights._zmtp import Connection, ConnectionLost

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48)
READY = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03REQ"


def named(module, name):
    """A pickle of the name of a module's member."""
    return b"\x80\x03c" + module.encode() + b"\n" + name.encode() + b"\n."


class Call:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def record(dtype=b"ctorch\nfloat32\n", shape=(2,), **other):
    fields = {"name": "t", "shape": shape, "offset": 0, **other}
    pairs = b"".join(pickle.dumps(key, 3)[2:-1] + pickle.dumps(value, 3)[2:-1] for key, value in fields.items())
    return b"\x80\x03](}(" + pairs + b"X\x05\x00\x00\x00dtype" + dtype + b"ue."


class MessagesTests(unittest.TestCase):
    def test_the_shapes_of_the_protocol_are_read(self):
        self.assertIsNone(decode_step(pickle.dumps(None)))
        self.assertEqual([], decode_step(pickle.dumps([])))
        self.assertEqual([Record("t", "float32", (2,), 0)], decode_step(record()))
        self.assertEqual(HostSlots("/dev/shm/x", 5), decode_slots(pickle.dumps(("host", "/dev/shm/x", 5))))
        with self.assertRaisesRegex(RuntimeError, "torn"):
            decode_step(pickle.dumps(RuntimeError("torn")))
        with self.assertRaisesRegex(RuntimeError, "torn"):
            decode_slots(pickle.dumps(RuntimeError("torn")))

    def test_torchs_function_is_read_without_being_looked_up(self):
        call = b"\x80\x03ctorch.multiprocessing.reductions\nrebuild_cuda_tensor\n(ctorch\nTensor\n" + b"N" * 14 + b"t\x86."
        slots = decode_slots(call)
        self.assertIsInstance(slots, CudaSlots)
        self.assertEqual(15, len(slots.arguments))
        self.assertNotIn("torch", sys.modules)

    def test_nothing_else_is_looked_up_or_called(self):
        marker = os.path.join(tempfile.gettempdir(), f"p2pweights-test-{os.getpid()}")
        for hostile in (
            pickle.dumps(Call(os.system, f"touch {marker}")),
            pickle.dumps(Call(open, marker, "w")),
            pickle.dumps(Call(eval, "1")),
            named("os", "system"),
            named("torch", "load"),
            named("torch.multiprocessing.reductions", "rebuild_storage_fd"),
            named("builtins", "RuntimeError.__subclasses__"),
            b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.",
            b"\x80\x02ctorch\nTensor\n)R.",
        ):
            for decode in (decode_slots, decode_step):
                with self.subTest(hostile=hostile), self.assertRaises(ProtocolError):
                    decode(hostile)
        self.assertFalse(os.path.exists(marker))

    def test_what_is_no_message_is_refused(self):
        for wrong in (
            b"",
            b"\x80\x03",
            b"hello",
            pickle.dumps(5),
            pickle.dumps({}),
            pickle.dumps([5]),
            pickle.dumps([{"name": "t"}]),
            pickle.dumps(("host", "/x", -1)),
            pickle.dumps(("host", "/x", True)),
            record(dtype=b"ctorch\nTensor\n"),
            record(dtype=b"X\x07\x00\x00\x00float32"),
            record(shape=(-1,)),
            record(shape=(1.0,)),
            record(offset=-1),
            record(name=5),
            record(more=1),
            b"\x80\x03X\xff\xff\xff\x7fabc.",
        ):
            for decode in (decode_slots, decode_step):
                with self.subTest(wrong=wrong), self.assertRaises(ProtocolError):
                    decode(wrong)


class SlotsTests(unittest.TestCase):
    def setUp(self):
        self.file = tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="p2pw-test-")
        self.file.write(bytes(range(16)))
        self.file.flush()
        self.addCleanup(self.file.close)

    def test_tensors_are_where_their_records_say(self):
        slots = open_slots(HostSlots(self.file.name, 16), None)
        first, last, empty = slots.tensors([Record("a", "uint8", (2, 2), 1), Record("b", "int64", (), 8), Record("c", "float32", (0,), 16)])
        self.assertEqual(([1, 2, 3, 4], bytes(range(8, 16)), b""), (list(first.data), bytes(last.data), bytes(empty.data)))
        # What the node writes later is seen, and nothing can be written here.
        os.pwrite(self.file.fileno(), b"\xff", 1)
        self.assertEqual(255, first.data[0])
        with self.assertRaises(TypeError):
            first.data[0] = 1
        slots.close()

    def test_a_record_outside_the_slots_is_refused(self):
        slots = open_slots(HostSlots(self.file.name, 16), None)
        for wrong in (Record("a", "uint8", (17,), 0), Record("a", "uint8", (1,), 16), Record("a", "int32", (1,), 2), Record("a", "uint8", (1 << 70,), 0)):
            with self.subTest(wrong=wrong), self.assertRaises(ProtocolError):
                slots.tensors([wrong])
        slots.close()

    def test_a_tensor_is_of_no_use_after_its_bucket(self):
        slots = open_slots(HostSlots(self.file.name, 16), None)
        (tensor,) = slots.tensors([Record("a", "uint8", (4,), 0)])
        view = tensor.data
        tensor._release()
        with self.assertRaises(ValueError):
            view[0]
        slots.close()

    def test_slots_that_are_not_there_are_refused(self):
        for wrong in (HostSlots(self.file.name, 17), HostSlots(self.file.name, 0), HostSlots("/dev/null", 16)):
            with self.subTest(wrong=wrong), self.assertRaises(ProtocolError):
                open_slots(wrong, None)
        for missing in ("/dev/shm/p2pw-test-none", "/dev/shm"):
            with self.subTest(missing=missing), self.assertRaises((OSError, ProtocolError)):
                open_slots(HostSlots(missing, 16), None)
        with self.assertRaises(ProtocolError):
            open_slots(CudaSlots((None,) * 15), None)


class ZmtpTests(unittest.TestCase):
    def setUp(self):
        self.address = f"ipc://@p2pw-test-{os.getpid()}-{self.id().rsplit('.', 1)[1]}"

    def test_libzmqs_req_socket_is_answered(self):
        with zmq.Context() as context, context.socket(zmq.REQ) as node:
            # Pings often, and gives up on who does not answer them.
            node.heartbeat_ivl, node.heartbeat_timeout, node.rcvtimeo, node.linger = 50, 10000, 30000, 0
            node.bind(self.address)
            with Connection(self.address, 30) as connection:
                for size in (0, 1, 255, 256, 1 << 20):
                    node.send(b"q" * size)
                    self.assertEqual(b"q" * size, connection.receive())
                    connection.reply(b"a" * size)
                    self.assertEqual(b"a" * size, node.recv())

    def test_an_update_by_libzmq_goes_to_its_end(self):
        with tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="p2pw-test-") as file:
            file.write(bytes(range(16)))
            file.flush()
            seen = []
            target = engine.Callback(lambda tensors: seen.extend((t.name, t.dtype, t.shape, bytes(t.data)) for t in tensors), finish=lambda: seen.append("finished"))
            with zmq.Context() as context, context.socket(zmq.REQ) as node:
                node.rcvtimeo, node.linger = 30000, 0
                node.bind(self.address)
                receiver = threading.Thread(target=engine.receive, args=(self.address, target), daemon=True)
                receiver.start()
                for message in (pickle.dumps(("host", file.name, 16)), record(), pickle.dumps([]), pickle.dumps(None), pickle.dumps(None)):
                    node.send(message)
                    self.assertEqual(b"", node.recv())
                receiver.join(30)
            self.assertEqual([("t", "float32", (2,), bytes(range(8))), "finished"], seen)

    def test_a_peer_that_is_none_is_refused(self):
        frame = b"\x01\x00\x00\x01q"
        for what, sent in {
            "no greeting": b"HTTP/1.1 200 OK".ljust(64),
            "other version": GREETING[:10] + b"\x01" + GREETING[11:],
            "other mechanism": GREETING.replace(b"NULL", b"PLAI"),
            "closes": GREETING[:20],
            "message before READY": GREETING + b"\x00\x00",
            "other socket": GREETING + READY.replace(b"REQ", b"PUB"),
            "property too long": GREETING + b"\x04\x0c\x05READY\x01A\x7f\xff\xff\xff",
            "huge command": GREETING + b"\x06" + b"\xff" * 8,
            "unknown flags": GREETING + READY + b"\x80" + frame,
            "huge message": GREETING + READY + b"\x01\x00\x02" + b"\x00\x00\x00\xff" * 2,
            "no empty frame": GREETING + READY + b"\x00\x01q",
            "two frames": GREETING + READY + b"\x01\x00\x01\x01q\x00\x00",
            "end inside a message": GREETING + READY + b"\x01\x00\x00\x05q",
        }.items():
            with self.subTest(what), socket.socket(socket.AF_UNIX) as listener:
                listener.bind("\0" + self.address[len("ipc://@") :])
                listener.listen()
                serving = threading.Thread(target=self.serve, args=(listener, sent), daemon=True)
                serving.start()
                with self.assertRaises(ConnectionLost):
                    with Connection(self.address, 30) as connection:
                        connection.receive()
                serving.join(30)

    def test_nobody_there_and_other_addresses_are_said(self):
        with self.assertRaisesRegex(ConnectionLost, "nobody listens"):
            Connection(self.address)
        for wrong in ("tcp://127.0.0.1:1", "ipc:///run/x", ""):
            with self.assertRaises(ValueError):
                Connection(wrong)

    @staticmethod
    def serve(listener, sent):
        connected, _ = listener.accept()
        with connected:
            connected.sendall(sent)
            connected.shutdown(socket.SHUT_WR)
            # Until the other side has closed, so that it is not told of a reset before it has read.
            try:
                while connected.recv(4096):
                    pass
            except ConnectionResetError:
                pass


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
