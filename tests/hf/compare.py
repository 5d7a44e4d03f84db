#!/usr/bin/env python3
"""transformers' side of tests/hf.sh.

compare.py tokens FILE BATCH SEQ VOCAB        random tokens and targets
compare.py make DIR                           models made by transformers
compare.py same A B                           equal weights, to the bit
compare.py check MODEL TOKENS BATCH SEQ OURS  loss and gradients of both
"""
import sys

import numpy
import torch
import torch.nn.functional as functional
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel

LOSS_BOUND = 1e-5
GRADIENT_BOUND = 1e-5


def make_tokens(path, batch, seq, vocab):
    rng = numpy.random.default_rng(1)
    shape = (2, int(batch), int(seq))
    rng.integers(0, int(vocab), shape, dtype=numpy.int32).tofile(path)


def make_models(folder):
    """One model three times: one file, shards, and without the head's prefix."""
    torch.manual_seed(1)
    model = GPT2LMHeadModel(GPT2Config(
        n_layer=3, n_head=4, n_embd=64, n_positions=48, vocab_size=301,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=None, eos_token_id=None))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    model.save_pretrained(folder + "/single")
    model.save_pretrained(folder + "/shards", max_shard_size="100KB")
    model.transformer.save_pretrained(folder + "/bare")


def load_model(folder):
    model, info = GPT2LMHeadModel.from_pretrained(
        folder, output_loading_info=True, attn_implementation="eager")
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if set(info[kind]) - {"lm_head.weight"}:
            sys.exit(f"{folder}: {kind}: {sorted(info[kind])}")
    return model.float().eval()


def same(one, other):
    one, other = (load_model(m).state_dict() for m in (one, other))
    sys.exit(any(not torch.equal(one[name], other[name]) for name in one))


def normalised_error(ours, theirs):
    difference = (ours.double() - theirs.double()).norm()
    return float(difference / theirs.double().norm())


def check(folder, tokens_path, batch, seq, ours_path):
    tokens = numpy.fromfile(tokens_path, dtype=numpy.int32)
    tokens = tokens.reshape(2, int(batch), int(seq)).astype(numpy.int64)
    tokens, targets = torch.from_numpy(tokens)
    ours = load_file(ours_path)
    model = load_model(folder)
    logits = model(input_ids=tokens).logits
    loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss.backward()

    mine = float(ours.pop("loss")[0])
    error = abs(mine - loss.item()) / loss.item()
    good = error < LOSS_BOUND
    print(f"loss {mine:.7f}, transformers {loss.item():.7f}: {error:.1e}")
    theirs = {name: p.grad for name, p in model.named_parameters()}
    if set(theirs) != set(ours):
        sys.exit(f"parameters differ: {set(theirs) ^ set(ours)}")
    errors = {n: normalised_error(ours[n], g) for n, g in theirs.items()}
    worst = max(errors, key=errors.get)
    print(f"{len(errors)} gradients, worst {worst}: {errors[worst]:.1e}")
    good = good and errors[worst] < GRADIENT_BOUND
    sys.exit(not good)


if __name__ == "__main__":
    actions = {"tokens": make_tokens, "make": make_models, "same": same,
               "check": check}
    actions[sys.argv[1]](*sys.argv[2:])
