"""GPT-2 on two ranks by torch.distributed.pipelining, for `pipefw bench train`.

Says "torch VERSION"; then reads lines
    LAYERS HEADS HIDDEN CONTEXT VOCAB BATCH fp32|bf16 CUT MICROBATCHES STEPS
and answers each with the median milliseconds of STEPS steps after one that does
not count, or with a sentence.  CUT layers are the first rank's.  A step is 1F1B
over gloo, the sum of the tied gradients, the clipping by the norm of both ranks,
and AdamW: what two ranks of pipefw do.  Each has one thread on a core of its
own; rank 1 is a process that this one starts, and that ends with it.
"""
import os
import statistics
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"
sys.dont_write_bytecode = True
os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
cores = sorted(os.sched_getaffinity(0))
if len(cores) < 2:
    sys.exit("two ranks want two cores")
# Before torch, which has threads.  What rank 0 reads it hands on; rank 1 reads
# the end of it when rank 0 is gone.
out, to_peer = os.pipe()
RANK = 0 if os.fork() else 1
os.sched_setaffinity(0, [cores[RANK]])
os.close(out if RANK == 0 else to_peer)
lines = sys.stdin if RANK == 0 else os.fdopen(out)

import torch
import torch.distributed as dist
from torch.distributed.pipelining import PipelineStage, Schedule1F1B
from torch_model import GPT2, loss_of


def tell(line):
    os.write(to_peer, (line.rstrip("\n") + "\n").encode())


def join():
    """A store of rank 0's on a port that is free, and gloo over it."""
    if RANK == 0:
        store = dist.TCPStore("127.0.0.1", 0, 2, True, wait_for_workers=False)
        tell(str(store.port))
    else:
        store = dist.TCPStore("127.0.0.1", int(lines.readline()), 2, False)
    dist.init_process_group("gloo", store=store, rank=RANK, world_size=2)


def clip(parameters, counted, largest):
    squares = torch.stack([p.grad.square().sum() for p in counted]).sum()
    dist.all_reduce(squares)
    scale = torch.clamp(largest / (squares.sqrt() + 1e-6), max=1.0)
    torch._foreach_mul_([p.grad for p in parameters], scale)


def make_step(layers, heads, c, context, vocab, batch, dtype, cut, m):
    torch.manual_seed(1)
    mine = cut if RANK == 0 else layers - cut
    model = GPT2(mine, heads, c, context, vocab, RANK == 0, RANK == 1)
    stage = PipelineStage(model, RANK, 2, torch.device("cpu"))
    schedule = Schedule1F1B(stage, m, loss_fn=loss_of)
    parameters = list(model.parameters())
    # The tied gradient is in both, and counts once.
    counted = [p for p in parameters if RANK == 0 or p is not model.tied()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)
    shape = (m * batch, context)

    def step():
        tokens = torch.randint(vocab, shape)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bf16"):
            if RANK == 0:
                schedule.step(tokens)
            else:
                schedule.step(target=tokens, losses=[])
        dist.all_reduce(model.tied().grad)
        clip(parameters, counted, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def answer(words, made):
    what = tuple(words[:9])
    if made.get("what") != what:
        made.clear()
        step = make_step(*map(int, words[:6]), words[6], *map(int, words[7:9]))
        step()
        made.update(what=what, step=step)
    made["step"]()
    times = []
    for _ in range(int(words[9])):
        dist.barrier()
        start = time.perf_counter()
        made["step"]()
        dist.barrier()
        times.append(1e3 * (time.perf_counter() - start))
    return f"{statistics.median(times):.4f}"


def main():
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    join()
    if RANK == 0:
        print("torch", torch.__version__, flush=True)
    made = {}
    for line in lines:
        if RANK == 0:
            tell(line)
        try:
            said = answer(line.split(), made)
        except Exception as fault:  # the sentence is the answer
            # Ranks that no longer agree cannot go on.
            print(str(fault).splitlines()[0] or "it failed", flush=True)
            os._exit(1)
        if RANK == 0:
            print(said, flush=True)


main()
