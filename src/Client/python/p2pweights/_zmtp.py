"""A ZMQ REP socket that connects to one abstract Unix socket: ZMTP 3.x, NULL mechanism (https://rfc.zeromq.org/spec/23/, https://rfc.zeromq.org/spec/37/).

Written out because pyzmq is not everywhere, and because libzmq does not tell when its peer is gone, which is how we learn that a node has died.
"""

from __future__ import annotations

import os
import socket
import struct

_MORE, _LONG, _COMMAND = 1, 2, 4
_GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
_READY = b"\x05READY" + b"\x0bSocket-Type" + struct.pack(">I", 3) + b"REP"
_MAX_COMMAND_BYTES = 4096
# The records of a bucket, some 100 bytes per tensor.
_MAX_MESSAGE_BYTES = 256 << 20


class ConnectionLost(ConnectionError):
    """The other side closed the connection, or does not speak the protocol."""


class Connection:
    """One REQ socket at the other end: ``receive`` and ``reply``, strictly in turn.

    :param address: ``ipc://@NAME``.
    :param timeout: seconds to wait for the next message, ``None`` for ever.
    :raises ConnectionLost: nobody listens there, or not one of our own user, or it is no REQ socket.
    """

    def __init__(self, address: str, timeout: float | None = None) -> None:
        if not address.startswith("ipc://@"):
            raise ValueError(f"{address!r} is not the address of an abstract Unix socket (ipc://@NAME)")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout)
            try:
                self._socket.connect("\0" + address[len("ipc://@") :])
            except OSError as error:
                raise ConnectionLost(f"nobody listens at {address} ({error.strerror}); the update was given up, or runs in another network name space") from error
            _check_user(self._socket)
            self._greet()
        except BaseException:
            self._socket.close()
            raise

    def receive(self) -> bytes:
        """The next message.

        :raises TimeoutError: none came in time.
        """
        in_message = False
        while True:
            flags, body = self._frame()
            if flags & _COMMAND:
                self._answer(body)
            elif not in_message:
                if body or not flags & _MORE:
                    raise ConnectionLost("a message does not start with an empty frame")
                in_message = True
            elif flags & _MORE:
                raise ConnectionLost("a message has more than one frame")
            else:
                return body

    def reply(self, body: bytes = b"") -> None:
        """Answers the message that was received last."""
        self._socket.sendall(b"\x01\x00" + _header(0, len(body)) + body)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _greet(self) -> None:
        self._socket.sendall(_GREETING + _header(_COMMAND, len(_READY)) + _READY)
        greeting = self._exactly(len(_GREETING))
        if greeting[0] != 0xFF or greeting[9] != 0x7F or greeting[10] < 3 or greeting[12:32] != _GREETING[12:32]:
            raise ConnectionLost("the other side does not speak ZMTP 3 with mechanism NULL")
        flags, body = self._frame()
        if not flags & _COMMAND or not body.startswith(b"\x05READY"):
            raise ConnectionLost("the other side did not send READY")
        if _property(body[6:], b"socket-type") not in (b"REQ", b"DEALER"):
            raise ConnectionLost("the other side is not a REQ socket")

    def _answer(self, command: bytes) -> None:
        # PING: name, time to live of 2 bytes, context that the PONG repeats.
        if command.startswith(b"\x04PING") and 7 <= len(command) <= 23:
            pong = b"\x04PONG" + command[7:]
            self._socket.sendall(_header(_COMMAND, len(pong)) + pong)

    def _frame(self) -> tuple[int, bytes]:
        flags = self._exactly(1)[0]
        if flags & ~(_MORE | _LONG | _COMMAND) or flags & (_MORE | _COMMAND) == _MORE | _COMMAND:
            raise ConnectionLost(f"a frame has the flags {flags:#04x}")
        length = int.from_bytes(self._exactly(8 if flags & _LONG else 1), "big")
        if length > (_MAX_COMMAND_BYTES if flags & _COMMAND else _MAX_MESSAGE_BYTES):
            raise ConnectionLost(f"a frame has {length} bytes")
        return flags, self._exactly(length)

    def _exactly(self, length: int) -> bytes:
        received = bytearray(length)
        view = memoryview(received)
        while view:
            count = self._socket.recv_into(view)
            if count == 0:
                raise ConnectionLost("the node closed the connection: it ended, or gave the update up")
            view = view[count:]
        return bytes(received)


def _check_user(connected: socket.socket) -> None:
    # An abstract socket has no permissions. struct ucred of unix(7): pid, uid, gid.
    _, user, _ = struct.unpack("3I", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if user not in (0, os.geteuid()):
        raise ConnectionLost(f"a process of user {user} listens there; node and engine must be of one user")


def _header(flags: int, length: int) -> bytes:
    return bytes((flags, length)) if length < 256 else bytes((flags | _LONG,)) + struct.pack(">Q", length)


def _property(properties: bytes, wanted: bytes) -> bytes | None:
    at = 0
    while at < len(properties):
        name_end = at + 1 + properties[at]
        value_at = name_end + 4
        if value_at > len(properties):
            raise ConnectionLost("a property of READY is longer than the command")
        value_end = value_at + int.from_bytes(properties[name_end:value_at], "big")
        if value_end > len(properties):
            raise ConnectionLost("a property of READY is longer than the command")
        if properties[at + 1 : name_end].lower() == wanted:
            return properties[value_at:value_end]
        at = value_end
    return None
