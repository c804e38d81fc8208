"""The bucket loop of checkpoint-engine in its plainest form, for `bench update` to measure in turns with ours: torch, NCCL, one process per GPU, no engine attached.

What it does per bucket is that of ParameterServer._update_per_bucket in checkpoint_engine/ps.py (github.com/MoonshotAI/checkpoint-engine, commit 0065a87): each rank holds 1/n of the
checkpoint in pinned memory; in each round it copies its next bucket to a staging buffer and waits; then, rank after rank, the owner copies its bucket into one of two halves of a buffer, the half is broadcast, a return
code is reduced over all ranks, and everybody waits for both. The code is our own. What checkpoint-engine does besides (a message to the worker, its reading of the half, its answer) is left out, in its favour.

    checkpoint_engine_loop.py --check
    checkpoint_engine_loop.py RANK RANKS PORT BYTES BUCKET      started by the benchmark, once per GPU; each line of its input is one update, answered with its seconds
"""

import datetime
import os
import sys
import time


def check():
    """Why it cannot be run here, or nothing."""
    try:
        import torch
    except ImportError as error:
        return f"python3 has no torch ({error})"
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} has no CUDA here"
    return "" if torch.distributed.is_nccl_available() else f"torch {torch.__version__} has no NCCL"


def main(rank, ranks, port, total, bucket):
    import torch
    import torch.distributed as dist

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.cuda.set_device(rank)
    dist.init_process_group("nccl", rank=rank, world_size=ranks, timeout=datetime.timedelta(minutes=2))
    share = [total * (r + 1) // ranks - total * r // ranks for r in range(ranks)]
    # Registered here, because torch's own pinned memory comes in powers of two.
    mine = torch.full((share[rank],), rank + 1, dtype=torch.uint8)
    if int(torch.cuda.cudart().cudaHostRegister(mine.data_ptr(), mine.numel(), 0)) != 0:
        raise RuntimeError(f"{mine.numel()} bytes of memory cannot be registered")
    staging = torch.empty(bucket, dtype=torch.uint8, device="cuda")
    halves = [torch.empty(bucket, dtype=torch.uint8, device="cuda") for _ in range(2)]
    code = torch.zeros(1, dtype=torch.int32, device="cuda")

    def update():
        turn = 0
        for start in range(0, max(share), bucket):
            lengths = [max(0, min(bucket, size - start)) for size in share]
            staging[: lengths[rank]].copy_(mine[start : start + lengths[rank]], non_blocking=True)
            torch.cuda.synchronize()
            for owner in range(ranks):
                half = halves[turn % 2][: lengths[owner]]
                turn += 1
                if owner == rank:
                    half.copy_(staging[: lengths[rank]])
                dist.broadcast(half, src=owner)
                dist.all_reduce(code)
                torch.cuda.synchronize()
                if code.item() != 0:
                    raise RuntimeError("a rank failed")
                if lengths[owner] and half[-1].item() != owner + 1:
                    raise RuntimeError(f"rank {rank} did not get the bucket of rank {owner}")

    # Connections are made and kernels loaded once, which is no part of an update.
    update()
    print("ready", flush=True)
    for _ in sys.stdin:
        dist.barrier()
        torch.cuda.synchronize()
        started = time.perf_counter()
        update()
        print(time.perf_counter() - started, flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        print(check())
    else:
        main(*map(int, sys.argv[1:]))
