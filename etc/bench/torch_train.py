"""GPT-2 training steps in PyTorch, for `pipefw bench train`.

Says "torch VERSION"; then reads lines
    LAYERS HEADS HIDDEN CONTEXT VOCAB BATCH fp32|bf16 eager|compiled STEPS
and answers each with the median milliseconds of STEPS steps after one that does
not count, or with a sentence.  A step is forward, backward and AdamW on one
micro-batch, one thread on one core: what a rank of pipefw does.
"""
import os
import statistics
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"
cores = sorted(os.sched_getaffinity(0))
os.sched_setaffinity(0, cores[:1])

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, c, heads):
        super().__init__()
        self.heads = heads
        self.ln_1 = nn.LayerNorm(c)
        self.qkv = nn.Linear(c, 3 * c)
        self.proj = nn.Linear(c, c)
        self.ln_2 = nn.LayerNorm(c)
        self.fc = nn.Linear(c, 4 * c)
        self.fc_proj = nn.Linear(4 * c, c)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(self.ln_1(x)).split(c, dim=2)
        q, k, v = (y.view(b, t, self.heads, -1).transpose(1, 2)
                   for y in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(b, t, c))
        y = F.gelu(self.fc(self.ln_2(x)), approximate="tanh")
        return x + self.fc_proj(y)


class GPT2(nn.Module):
    def __init__(self, layers, heads, c, context, vocab):
        super().__init__()
        self.wte = nn.Embedding(vocab, c)
        self.wpe = nn.Embedding(context, c)
        self.blocks = nn.ModuleList(Block(c, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(c)
        self.head = nn.Linear(c, vocab, bias=False)
        self.head.weight = self.wte.weight
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def forward(self, tokens, targets):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.ln_f(x))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def make_step(layers, heads, c, context, vocab, batch, dtype, how):
    torch.manual_seed(1)
    model = GPT2(layers, heads, c, context, vocab)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    forward = torch.compile(model) if how == "compiled" else model
    shape = (batch, context)

    def step():
        tokens = torch.randint(vocab, shape)
        targets = torch.randint(vocab, shape)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bf16"):
            loss = forward(tokens, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def answer(words, made):
    model, how = tuple(words[:6]), tuple(words[6:8])
    if made.get("model") != model:
        made.clear()
        made["model"] = model
    if how not in made:
        made[how] = make_step(*map(int, model), *how)
        made[how]()
    step = made[how]
    step()
    times = []
    for _ in range(int(words[8])):
        start = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - start))
    return f"{statistics.median(times):.4f}"


def main():
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
