"""HTTP of an engine: the request to update (SGLang's route and shape), what the engine is, and digests of what it holds."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_MAX_BODY_BYTES = 4 << 20
# For the request itself; the answer takes as long as the update.
_READ_TIMEOUT = 30.0

#: Routes: (method, path) to a function that takes the body and gives the answer.
Routes = dict[tuple[str, str], Callable[[dict[str, Any]], dict[str, Any]]]


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def listen(address: str, routes: Routes) -> tuple[ThreadingHTTPServer, str]:
    """Binds; the caller runs ``serve_forever``.

    :param address: ``unix:///PATH`` (made with access for the own user alone) or ``http://HOST:PORT`` (port 0: any).
    :returns: the server, and its URL as ``p2pw update --engine`` takes it.
    """
    parts = urlsplit(address)
    if parts.scheme == "unix" and not parts.netloc and parts.path.startswith("/"):
        return _UnixServer(parts.path, routes), f"python+unix://{parts.path}"
    if parts.scheme == "http" and parts.hostname and parts.path in ("", "/"):
        server = _TcpServer((parts.hostname, parts.port or 0), _Handler)
        server.routes = routes
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return server, f"python+http://{host}:{server.server_address[1]}"
    raise ValueError(f"cannot listen at {address!r}: expected unix:///PATH or http://HOST:PORT")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "p2pweights"
    timeout = _READ_TIMEOUT

    def do_GET(self) -> None:
        self._respond({})

    def do_POST(self) -> None:
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            length = -1
        if not 0 <= length <= _MAX_BODY_BYTES:
            self.close_connection = True
            self._send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"message": f"a body has 0 to {_MAX_BODY_BYTES} bytes and a Content-Length"})
            return
        try:
            body = json.loads(self.rfile.read(length))
            if not isinstance(body, dict):
                raise ValueError("it is no object")
        except (ValueError, RecursionError) as error:
            self._send(HTTPStatus.BAD_REQUEST, {"message": f"the body is not the JSON that it should be: {error}"})
            return
        self._respond(body)

    def address_string(self) -> str:
        # The client of a Unix socket has no address.
        return self.client_address[0] if isinstance(self.client_address, tuple) else "unix"

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the caller's process has its own log."""

    def _respond(self, body: dict[str, Any]) -> None:
        route = self.server.routes.get((self.command, self.path))  # type: ignore[attr-defined]
        try:
            if route is None:
                raise Refusal(HTTPStatus.NOT_FOUND, f"no {self.command} {self.path} here")
            self._send(HTTPStatus.OK, route(body))
        except Refusal as refusal:
            self._send(refusal.status, {"success": False, "message": str(refusal)})

    def _send(self, status: HTTPStatus, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class _QuietMixin:
    routes: Routes

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is its own affair; what a route raises it raises as a refusal."""


class _TcpServer(_QuietMixin, ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[_Handler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)


class _UnixServer(_QuietMixin, ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_UNIX

    def __init__(self, path: str, routes: Routes) -> None:
        self.routes = routes
        self._path = path
        super().__init__(path, _Handler)  # type: ignore[arg-type]

    def server_bind(self) -> None:
        _remove_dead_socket(self._path)
        # No moment in which others could connect: nobody listens yet.
        self.socket.bind(self._path)
        os.chmod(self._path, 0o600)
        self.server_name, self.server_port = "engine", 0

    def server_close(self) -> None:
        super().server_close()
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass


def _remove_dead_socket(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(f"{path} is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_READ_TIMEOUT)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise FileExistsError(f"another engine listens at {path}")
