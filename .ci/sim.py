"""Reads the report of `p2pw sim --peers 1024 --shards 1024 --json`. Exit code 1 when it misses a bar of docs/benchmarks.md, "Swarms, simulated"."""
import json
import sys

BARS = {"last_over_bound": 1.10, "publisher_copies": 1.15}

report = json.load(sys.stdin)
if (report["peers"], report["shards"], report["finished"]) != (1024, 1024, 1024):
    sys.exit(f"not the swarm that the bars are for: {report}")

print(", ".join(f"{name} {report[name]} (bar: at most {bar})" for name, bar in BARS.items()) + f"; took {report['elapsed_seconds']} s")
sys.exit(any(not 1 <= report[name] <= bar for name, bar in BARS.items()))
