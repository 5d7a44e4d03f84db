"""GPT-2 training steps in PyTorch, for `pipefw bench train`; with the word cuda
as its argument on a GPU, for tests/gpu/run.

Says "torch VERSION"; then reads lines
    LAYERS HEADS HIDDEN CONTEXT VOCAB BATCH fp32|bf16 eager|compiled STEPS [M]
and answers each with the median milliseconds of STEPS steps after one that does
not count, or with a sentence.  A step is forward and backward of M micro-batches
(1) and AdamW; on the cpu one thread on one core: what a rank of pipefw does.
"""
import os
import statistics
import sys
import time

DEVICE = "cuda" if sys.argv[1:] == ["cuda"] else "cpu"
sys.dont_write_bytecode = True
if DEVICE == "cpu":
    os.environ["OMP_NUM_THREADS"] = "1"
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:1])

import torch
from torch_model import GPT2, loss_of


class Whole(torch.nn.Module):
    def __init__(self, *sizes):
        super().__init__()
        self.model = GPT2(*sizes)

    def forward(self, tokens, targets):
        return loss_of(self.model(tokens), targets)


def make_step(layers, heads, c, context, vocab, batch, dtype, how):
    torch.manual_seed(1)
    model = Whole(layers, heads, c, context, vocab).to(DEVICE)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    forward = torch.compile(model) if how == "compiled" else model
    shape = (batch, context)

    def step(microbatches):
        for _ in range(microbatches):
            tokens = torch.randint(vocab, shape, device=DEVICE)
            targets = torch.randint(vocab, shape, device=DEVICE)
            with torch.autocast(DEVICE, torch.bfloat16,
                                enabled=dtype == "bf16"):
                loss = forward(tokens, targets)
            (loss / microbatches).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return step


def answer(words, made):
    model, how = tuple(words[:6]), tuple(words[6:8])
    microbatches = int(words[9]) if len(words) > 9 else 1
    if made.get("model") != model:
        made.clear()
        made["model"] = model
    if how not in made:
        made[how] = make_step(*map(int, model), *how)
        made[how](microbatches)
    step = made[how]
    step(microbatches)
    times = []
    for _ in range(int(words[8])):
        start = time.perf_counter()
        step(microbatches)
        times.append(1e3 * (time.perf_counter() - start))
    return f"{statistics.median(times):.4f}"


def main():
    if DEVICE == "cpu":
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
    print("torch", torch.__version__, flush=True)
    made = {}
    for line in sys.stdin:
        try:
            print(answer(line.split(), made), flush=True)
        except Exception as fault:  # the sentence is the answer
            print(str(fault).splitlines()[0] or "it failed", flush=True)


main()
