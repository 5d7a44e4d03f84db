"""The CSV files of torch.distributed.pipelining, without any process group.

dump DIR: every schedule class, at many sizes, as NAME.P.V.M.FORM.csv
load P:STAGES:M:FILE...: reads each as PyTorch's runtime does, which checks it
and adds sends and receives; and writes what it has read to standard output.
"""
import csv
import sys
from types import SimpleNamespace

import torch.distributed.pipelining.schedules as pt


def stages_of(p, stages):
    """Those of rank 0, with what the schedules' constructors look at."""
    return [SimpleNamespace(num_stages=stages, group_size=p, group_rank=0,
                            stage_index=s, submod=None, is_first=s == 0,
                            is_last=s == stages - 1)
            for s in range(0, stages, p)]


def dump(folder):
    loop = {"LoopedBFS": pt.ScheduleLoopedBFS,
            "Interleaved1F1B": pt.ScheduleInterleaved1F1B,
            "InterleavedZeroBubble": pt.ScheduleInterleavedZeroBubble}
    vee = {"ZBVZeroBubble": pt.ScheduleZBVZeroBubble,
           "DualPipeV": pt.ScheduleDualPipeV}
    for p in (2, 3, 4, 8):
        for m in (1, 2, p, 2 * p - 1, 2 * p, 3 * p, 13):
            write_gpipe(f"{folder}/GPipe.{p}.1.{m}", p, m)
            for v in (2, 3):
                for name, cls in loop.items():
                    write_multi(f"{folder}/{name}.{p}.{v}.{m}", cls, p, v, m)
            for name, cls in vee.items():
                write_multi(f"{folder}/{name}.{p}.2.{m}", cls, p, 2, m)


def write_gpipe(path, p, m):
    """Single-stage classes dump nothing, but keep an order to be drawn.

    That of Schedule1F1B counts the last rank's forwards from 1 (2.15): it is no
    schedule, and is left out.
    """
    order = pt.ScheduleGPipe(stages_of(p, p)[0], m).pipeline_order
    with open(path + ".order.csv", "w", newline="") as file:
        csv.writer(file).writerows(order[rank] for rank in range(p))


def write_multi(path, cls, p, v, m):
    try:
        schedule = cls(stages_of(p, p * v), m)
    except ValueError:
        return
    for form in ("compute_only", "compute_comms"):
        schedule._dump_csv(f"{path}.{form}.csv", format=form)


def load(p, stages, m, path):
    runtime = pt._PipelineScheduleRuntime(stages_of(p, stages), m)
    runtime._load_csv(path, format="compute_only")
    for rank in range(p):
        print(",".join(map(str, runtime.pipeline_order[rank])))


if sys.argv[1] == "dump":
    dump(sys.argv[2])
else:
    for arg in sys.argv[2:]:
        p, stages, m, path = arg.split(":", 3)
        load(int(p), int(stages), int(m), path)
