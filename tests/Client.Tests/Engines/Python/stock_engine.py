"""An engine as vLLM with checkpoint-engine's extension, or SGLang, is seen from outside: the HTTP route, and per rank a worker that takes part in the protocol
with pyzmq. Written from the description of the protocol; with --package the worker is that of the package checkpoint_engine itself, which must be installed.

stock_engine.py vllm|sglang RANK... [--ends 1|2] [--fail RANK:WHERE] [--eager] [--package]
WHERE: handle, load:N, post_hook (raise), silent:N, die:N (at bucket N), slow:N, late (goes on at bucket N, or connects, when a line comes in), stranger (connects as a PULL socket), absent (never connects)
With --package: handle, load:N and post_hook.
--eager: answers at the first failure, as vLLM's executor, which looks at the ranks' results in order; later ranks go on.
Prints one JSON object per event. Ends when its input does.
"""

import argparse
import hashlib
import itertools
import json
import os
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

try:
    import zmq
except ImportError:
    sys.exit("the Debian package python3-zmq is missing: apt-get install python3-zmq")

import fake_torch

fake_torch.install()
context = zmq.Context()
printing = threading.Lock()
resumed = threading.Event()


def say(**event):
    with printing:
        print(json.dumps(event), flush=True)


def worker(rank, address, fail, ends):
    if fail == "late":
        say(rank=rank, event="late")
        resumed.wait()
    socket = context.socket(zmq.PULL if fail == "stranger" else zmq.REP)
    socket.connect(address)
    slots = None
    try:
        try:
            function, arguments = socket.recv_pyobj()
            arguments = list(arguments)
            arguments[6] = "the worker's own"
            if fail == "handle":
                raise ValueError("no such handle")
            slots = function(*arguments)
            socket.send(b"")
        except Exception:
            socket.send_string(traceback.format_exc())
            socket.recv()
            raise
        bucket, ended = 0, 0
        while ended < ends:
            message = socket.recv_pyobj()
            if message is None:
                ended += 1
                if ended == 1:
                    slots = None
                if ended == ends:
                    if fail == "post_hook":
                        raise ValueError("no post-processing")
                    say(rank=rank, event="post_hook")
                socket.send(b"")
            elif isinstance(message, list):
                try:
                    refuse(fail, bucket)
                    if fail == f"die:{bucket}":
                        os._exit(9)
                    if fail == f"silent:{bucket}":
                        say(rank=rank, event="silent")
                        threading.Event().wait()
                    if fail == f"slow:{bucket}":
                        say(rank=rank, event="slow")
                        resumed.wait()
                    load(rank, message, slots)
                    socket.send(b"")
                except Exception:
                    socket.send_string(traceback.format_exc())
                bucket += 1
            elif isinstance(message, Exception):
                say(rank=rank, event="told", message=str(message))
                raise message
            else:
                raise TypeError(type(message))
    finally:
        socket.close()
        say(rank=rank, event="left")


def package_worker(rank, address, fail):
    from checkpoint_engine.worker import update_weights_from_ipc

    buckets = itertools.count()

    def run(weights):
        refuse(fail, next(buckets))
        for name, tensor in weights:
            loaded(rank, name, tensor.dtype, tensor.shape, tensor.read())

    def post_hook():
        if fail == "post_hook":
            raise ValueError("no post-processing")
        say(rank=rank, event="post_hook")

    try:
        update_weights_from_ipc(context, address, "no such handle" if fail == "handle" else "the worker's own", run=run, post_hook=post_hook)
    except RuntimeError as error:
        say(rank=rank, event="told", message=str(error))
        raise
    finally:
        say(rank=rank, event="left")


def load(rank, records, slots):
    for record in records:
        length = record["dtype"].itemsize
        for dimension in record["shape"]:
            length *= dimension
        loaded(rank, record["name"], record["dtype"], record["shape"], slots.read(record["offset"], length))


def loaded(rank, name, dtype, shape, content):
    say(rank=rank, event="loaded", name=name, dtype=dtype.name, shape=list(shape), sha256=hashlib.sha256(content).hexdigest())


def refuse(fail, bucket):
    if fail == f"load:{bucket}":
        raise ValueError(f"no loader for\x1b[31m bucket {bucket}")


def update(arguments, addresses):
    failures = []

    def run(rank):
        try:
            fail = arguments.fail.get(rank)
            if arguments.package:
                package_worker(rank, addresses[rank], fail)
            elif fail != "absent":
                worker(rank, addresses[rank], fail, arguments.ends)
        except Exception as error:
            failures.append(f"{rank}: {type(error).__name__}: {error}")

    threads = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in arguments.ranks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
        if failures and arguments.eager:
            break
    return list(failures)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        say(event="asked", path=self.path, body=body)
        arguments = self.server.arguments
        if arguments.kind == "vllm" and self.path == "/collective_rpc":
            assert body["method"] == "update_weights_from_ipc" and len(body["args"]) == 1 and body["timeout"] > 0
            failures = update(arguments, body["args"][0])
            self.answer(500 if failures else 200, "; ".join(failures) if failures else json.dumps({"results": [None] * len(arguments.ranks)}))
        elif arguments.kind == "sglang" and self.path == "/update_weights_from_ipc":
            failures = update(arguments, body["zmq_handles"])
            self.answer(400 if failures else 200, json.dumps({"success": not failures, "message": "; ".join(failures)}))
        else:
            self.answer(404, json.dumps({"detail": "Not Found"}))

    def answer(self, status, text):
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["vllm", "sglang", "neither"])
    parser.add_argument("ranks", nargs="+")
    parser.add_argument("--ends", type=int, default=2)
    parser.add_argument("--fail", action="append", default=[])
    parser.add_argument("--eager", action="store_true")
    parser.add_argument("--package", action="store_true")
    arguments = parser.parse_args()
    arguments.fail = dict(one.split(":", 1) for one in arguments.fail)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.arguments = arguments
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say(event="listening", port=server.server_address[1], ranks=arguments.ranks)
    for _ in sys.stdin:
        resumed.set()
    os._exit(0)


main()
