"""A real model, whole: transformers builds a small one with random weights, it is saved, published, pulled by another node, and updated into a second process
that started from other weights. Its logits must then be the first one's, bit for bit, and must not have been before.

    PYTHONPATH=src/Client/python real_model.py --p2pw PATH [--device cpu|cuda:0] [--worker checkpoint_engine]

Needs torch and transformers. With --worker checkpoint_engine (and a GPU) the second process is what vLLM with that package, which must be installed with pyzmq,
is from outside: vLLM's HTTP route, and the package's own worker on the memory that torch opens.
Prints one JSON object per model; ends with 1 when one of them is not equal.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import traceback
from http.server import BaseHTTPRequestHandler, HTTPServer

# Before torch: cuBLAS gives the same bits every time only with a workspace of its own.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import torch
import transformers

SMALL = {
    "vocab_size": 512,
    "hidden_size": 128,
    "intermediate_size": 320,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
# One with a head of its own, one whose head is the embedding, which the checkpoint holds once.
MODELS = {"llama": ("LlamaConfig", {}), "qwen3": ("Qwen3Config", {"head_dim": 32, "tie_word_embeddings": True})}


def build(name, seed, device):
    kind, more = MODELS[name]
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, kind)(**SMALL, **more))
    return model.to(torch.bfloat16).to(device).eval()


def logits(model, device):
    torch.use_deterministic_algorithms(True, warn_only=True)
    with torch.no_grad():
        tokens = (torch.arange(2 * 48, device=device) * 37 % SMALL["vocab_size"]).view(2, 48)
        found = model(input_ids=tokens, use_cache=False).logits.float().cpu().contiguous()
    assert torch.isfinite(found).all() and found.std() > 0
    return hashlib.sha256(bytes(found.view(-1).numpy().tobytes())).hexdigest()


def engine(arguments):
    """The second process: answers each line of its input with its logits."""
    from p2pweights.engine import Engine, StateDict

    model = build(arguments.engine, seed=2, device=arguments.device)
    # Parameters that are shared appear once, as in the checkpoint.
    with Engine(StateDict(dict(model.named_parameters())), listen=f"unix://{arguments.socket}", device=arguments.device) as listening:
        listening.start()
        answer(listening.url, model, arguments.device)


def stock_engine(arguments):
    """The same with vLLM's route and checkpoint_engine's worker."""
    import zmq
    from checkpoint_engine.worker import update_weights_from_ipc

    model = build(arguments.engine, seed=2, device=arguments.device)
    weights, device, context = dict(model.named_parameters()), torch.device(arguments.device), zmq.Context()
    gpu = f"GPU-{torch.cuda.get_device_properties(device).uuid}"

    def load(received):
        with torch.no_grad():
            for name, tensor in received:
                weights[name].copy_(tensor)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                assert self.path == "/collective_rpc" and body["method"] == "update_weights_from_ipc", f"{self.path} {body}"
                update_weights_from_ipc(context, body["args"][0][gpu], device.index, run=load)
                status, content = 200, json.dumps({"results": [None]}).encode()
            except Exception:
                status, content = 500, traceback.format_exc().encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        answer(f"vllm+http://127.0.0.1:{server.server_address[1]}?gpus={gpu}", model, arguments.device)
        server.shutdown()


def answer(url, model, device):
    print(url, flush=True)
    for _ in sys.stdin:
        print(logits(model, device), flush=True)


class Process:
    """A process that ends with ours: it is told by the end of its input."""

    def __init__(self, *command):
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def line(self):
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with {self._process.wait()}")
        return line.strip()

    def ask(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.line()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def serve(p2pw, *command):
    """A tracker or a node, and the words of its ready line."""
    process = Process(p2pw, *command, "--log-level", "warning", "--die-with-parent")
    return process, dict(word.split("=", 1) for word in process.line().split() if "=" in word)


def node(p2pw, folder, name, tracker):
    socket = os.path.join(folder, f"{name}.sock")
    flags = ("--data", os.path.join(folder, name), "--socket", socket, "--memory", "64MiB", "--disk", "256MiB", "--ephemeral", "--paths", "tcp")
    process, _ = serve(p2pw, "node", "--name", name, "--tracker", tracker, "--listen", "127.0.0.1:0", *flags)
    return process, socket


def try_model(name, arguments, folder):
    def p2pw(*command):
        return subprocess.run([arguments.p2pw, *command], check=True, stdout=subprocess.PIPE, text=True, timeout=120).stdout

    first = build(name, seed=1, device=arguments.device)
    expected = logits(first, arguments.device)
    saved = os.path.join(folder, "saved")
    first.save_pretrained(saved, max_shard_size="400KB")
    del first

    tracker, ready = serve(arguments.p2pw, "tracker", "--listen", "127.0.0.1:0", "--data", os.path.join(folder, "tracker"))
    socket = os.path.join(folder, "engine.sock")
    with tracker:
        publisher, publishing = node(arguments.p2pw, folder, "publisher", ready["tracker"])
        consumer, consuming = node(arguments.p2pw, folder, "consumer", ready["tracker"])
        second = Process(sys.executable, os.path.abspath(__file__), "--engine", name, "--socket", socket, "--device", arguments.device, "--worker", arguments.worker)
        with publisher, consumer, second:
            url = second.line()
            before = second.ask()
            p2pw("publish", saved, f"{name}@1", "--node", publishing)
            p2pw("pull", f"{name}@1", "--node", consuming)
            # Only our own package's worker can say what it holds.
            verify = ["--verify"] if arguments.worker == "p2pweights" else []
            report = json.loads(p2pw("update", f"{name}@1", "--engine", url, "--node", consuming, "--json", *verify))
            after = second.ask()
    return {
        "model": name,
        "device": arguments.device,
        "worker": arguments.worker,
        "files": len([file for file in os.listdir(saved) if file.endswith(".safetensors")]),
        "tensors": report["tensors"],
        "bytes": report["bytes"],
        "verified": report.get("verified") is True,
        "differed_before": before != expected,
        "equal": after == expected,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--p2pw")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--worker", choices=["p2pweights", "checkpoint_engine"], default="p2pweights")
    parser.add_argument("--engine")
    parser.add_argument("--socket")
    arguments = parser.parse_args()
    # The same number of threads adds in the same order.
    torch.set_num_threads(1)
    if arguments.engine:
        engine(arguments) if arguments.worker == "p2pweights" else stock_engine(arguments)
        return 0
    good = True
    for name in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            result = try_model(name, arguments, folder)
        print(json.dumps(result), flush=True)
        good = good and result["equal"] and result["differed_before"] and result["verified"] == (arguments.worker == "p2pweights")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
