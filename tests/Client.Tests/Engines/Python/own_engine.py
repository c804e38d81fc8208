"""An engine that receives with the package p2pweights and keeps bytes in a dictionary: no torch.

own_engine.py URL [--poll] [--fail load:N|finish|hash] [--blind]
A line of its input asks for the state, except "end" and the end, which end it. Prints one JSON object per event.
"""

import argparse
import json
import sys
import threading

from p2pweights.engine import Callback, Engine


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--poll", action="store_true")
    parser.add_argument("--fail")
    parser.add_argument("--blind", action="store_true")
    arguments = parser.parse_args()
    held, buckets = {}, []
    # One failure; the next update goes well.
    fail = [arguments.fail] if arguments.fail else []

    def load(tensors):
        if f"load:{len(buckets)}" in fail:
            fail.clear()
            raise ValueError(f"no room for {[tensor.name for tensor in tensors]}")
        buckets.append(len(tensors))
        for tensor in tensors:
            held[tensor.name] = bytearray(tensor.data)
        say(event="loaded", tensors=len(tensors))

    def finish():
        if "finish" in fail:
            fail.clear()
            raise ValueError("no post-processing")
        say(event="finished")

    def read(name):
        if "hash" in fail:
            raise ValueError("lost")
        return held[name]

    with Engine(Callback(load, finish=finish, read=None if arguments.blind else read), listen=arguments.url, rank=3) as engine:
        say(event="listening", url=engine.url)
        asked = threading.Event()
        if arguments.poll:
            threading.Thread(target=answer, args=(engine, asked), daemon=True).start()
            while not asked.is_set():
                engine.poll(0.05)
        else:
            engine.start()
            answer(engine, asked)
    say(event="closed")


def answer(engine, ended):
    for line in sys.stdin:
        if line.strip() == "end":
            break
        say(event="state", state=engine.state, checkpoint=engine.checkpoint)
    ended.set()


printing = threading.Lock()


def say(**event):
    with printing:
        print(json.dumps(event), flush=True)


main()
