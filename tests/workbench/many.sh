#!/bin/sh
# 64 ranks on whatever cores there are, to the end: the first to be done goes
# while the last have yet to read what it sent them.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

cat >"$tmp/run.cfg" <<CFG
run = { steps = 2; };
model = { stage = "synthetic"; layers = 64; bytes = 4096; forward_us = [500.0];
	input_us = [500.0]; weight_us = [500.0]; };
pipeline = { schedule = "1f1b"; ranks = 64; microbatches = 8;
	microbatch_size = 1; };
CFG
for try in 1 2 3 4 5 6; do
	pipefw run "$tmp/run.cfg" --quiet --overwrite --out "$tmp/run"
done
