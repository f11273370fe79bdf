#!/usr/bin/env python3
"""A LoRA linear in PyTorch, timed as timing.cpp times ours, for the same table.

    torch_baseline.py <table.json> [seconds] [--device cuda|cpu] [--shrink n]

Three ways of writing it, each beside torch's frozen linear:

    eager          base(x) + B(A(dropout(x))) * scale, as Hugging Face PEFT computes it, and autograd's backward pass
    addmm_         y.addmm_(S, B^T) onto the frozen product, and a backward pass written by hand
    torch.compile  the eager one, compiled; since compiling takes its time, after the others of all shapes

Rows go to standard output and, each as it is measured, into the JSON file that gpu_check has written, beside those that are
there. A case that fails, or has no time left, is named.
Exit code 3: there is no torch, or none with CUDA.
"""
import argparse
import importlib
import json
import os
import statistics
import sys
import time

try:
    import torch
    import torch.nn.functional as functional
except ImportError as error:
    print(f"PyTorch: left out, {error}")
    sys.exit(3)

SHAPES = [  # name, M, K, N, r: those of shapes.h; those that matter most come first
    ("RoBERTa-large", 4096, 1024, 1024, 32),
    ("Llama-7B", 8192, 4096, 4096, 16),
    ("MiniLM", 2048, 384, 384, 32),
    ("8192 squared", 8192, 8192, 8192, 16),
]
RANKS = [8, 16, 32, 64, 128]  # besides a shape's own, and after all shapes: they are left out first when time runs out
OTHER_RANKS = [(name, m, k, n, rank) for rank in RANKS for name, m, k, n, own in SHAPES if rank != own]
SCALE = 2.0
# As in timing.cpp.
SAMPLES, FEWEST_SAMPLES = 15, 3
CALLS, FEWEST_CALLS = 24, 3
MICROSECONDS_A_SAMPLE, MICROSECONDS_A_ROW = 2e4, 4e5
MOST_SETS = 96
MOST_BYTES = 6 << 30
DELAY_OF_HOST, MOST_READS = 1.5, 256
HOST_BOUND_SHARE = 0.9


class Clock:
    """The median over samples of the mean time of one call, in microseconds. The device reads memory before a sample, for as long
    as the host takes to enqueue the calls, so that these wait for it. Sets are taken in turn over all samples."""

    def __init__(self, device, l2_bytes):
        self.cuda = device == "cuda"
        self.next = 0
        if self.cuda:
            self.memory = torch.zeros(max(2 * l2_bytes, 128 << 20) // 4, device=device)
            for _ in range(2):  # the first loads the code
                self.read_time = max(self.round(1, [self.memory.sum], 0)[0], 0.1)

    def enqueue(self, calls, sets):
        begin = time.perf_counter()
        for _ in range(calls):
            sets[self.next % len(sets)]()
            self.next += 1
        return (time.perf_counter() - begin) * 1e6

    def round(self, calls, sets, reads):
        """Microseconds, those that the host took, and whether the device waited for it."""
        if not self.cuda:
            host = self.enqueue(calls, sets)
            return host, host, False
        for _ in range(reads):
            self.memory.sum()
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        host = self.enqueue(calls, sets)
        stop.record()
        has_begun = start.query()
        stop.synchronize()
        microseconds = start.elapsed_time(stop) * 1e3
        return microseconds, host, has_begun and host >= HOST_BOUND_SHARE * microseconds

    def median(self, sets):
        """Of samples, of which there are so many; and whether most are of how fast the host enqueues."""
        for call in sets:
            call()  # compiles, fills caches
        first, host, _ = self.round(FEWEST_CALLS, sets, 1)
        once = max(first / FEWEST_CALLS, 0.1)
        calls = max(FEWEST_CALLS, min(CALLS, int(MICROSECONDS_A_SAMPLE / once)))
        reads = 0
        if self.cuda:
            reads = max(1, min(MOST_READS, int(DELAY_OF_HOST * host / FEWEST_CALLS * calls / self.read_time + 1)))
        samples = max(FEWEST_SAMPLES, min(SAMPLES, int(MICROSECONDS_A_ROW / (calls * once))))
        rounds = [self.round(calls, sets, reads) for _ in range(samples)]
        host_bound = 2 * sum(bound for _, _, bound in rounds) > samples
        return statistics.median(microseconds for microseconds, _, _ in rounds) / calls, samples, host_bound


def eager(x, w, a, b, p):
    return functional.linear(x, w) + functional.linear(functional.linear(functional.dropout(x, p), a), b) * SCALE


class Operands:
    def __init__(self, device, dtype, m, k, n, r):
        def random(*size, scale=0.5):
            return (torch.randn(*size, device=device) * scale).to(dtype)

        self.x = random(m, k).requires_grad_()
        self.w = random(n, k, scale=0.1)
        self.a = random(r, k, scale=0.1).requires_grad_()
        self.b = random(n, r, scale=0.1).requires_grad_()
        self.dy = random(m, n)


def hand_forward(o, p):
    """y and what the backward pass needs: S, D(x) and the mask."""
    y = functional.linear(o.x, o.w)
    if p > 0:
        dropped, mask = torch.native_dropout(o.x, p, True)
    else:
        dropped, mask = o.x, None
    s = functional.linear(dropped, o.a)
    y.addmm_(s, o.b.t(), alpha=SCALE)
    return y, s, dropped, mask


def hand_backward(o, saved, p):
    _, s, dropped, mask = saved
    ds = (o.dy @ o.b) * SCALE
    db = o.dy.t() @ s
    da = ds.t() @ dropped
    dx = o.dy @ o.w
    if mask is None:
        dx.addmm_(ds, o.a)
    else:
        dx.add_((ds @ o.a) * mask, alpha=1 / (1 - p))
    return dx, da, db


def cases(sets, p, compiled):
    """(name, backward, one call for each set of operands): of `compiled`, or of eager and by hand if it is None."""
    suffix = ", dropout" if p > 0 else ""

    def forward(function):
        return [lambda o=o: function(o.x, o.w, o.a, o.b, p) for o in sets]

    def backward(function):
        calls = []
        for o in sets:
            y = function(o.x, o.w, o.a, o.b, p)
            calls.append(lambda o=o, y=y: torch.autograd.grad(y, (o.x, o.a, o.b), o.dy, retain_graph=True))
        return calls

    def by_hand(function):
        def run(o):
            with torch.no_grad():
                return function(o)

        return [lambda o=o: run(o) for o in sets]

    if compiled is not None:
        yield "torch forward, torch.compile" + suffix, False, lambda: forward(compiled)
        yield "torch backward, torch.compile" + suffix, True, lambda: backward(compiled)
        return
    yield "torch forward, eager" + suffix, False, lambda: forward(eager)
    yield "torch backward, eager" + suffix, True, lambda: backward(eager)
    yield "torch forward, addmm_" + suffix, False, lambda: by_hand(lambda o: hand_forward(o, p))

    def hand_calls():
        with torch.no_grad():
            saved = {id(o): hand_forward(o, p) for o in sets}
        return by_hand(lambda o: hand_backward(o, saved[id(o)], p))

    yield "torch backward, addmm_" + suffix, True, hand_calls


def configure(module, **settings):
    try:
        for name, value in settings.items():
            setattr(importlib.import_module(module), name, value)
    except (ImportError, AttributeError):
        pass  # this torch has no such setting


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("table")
    parser.add_argument("seconds", type=float, nargs="?", default=60)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--shrink", type=int, default=1, help="divides every M, K and N")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("PyTorch: left out, this torch has no CUDA device")
        return 3
    end = time.monotonic() + options.seconds
    # A graph that is kept for another backward pass must keep its buffers; and past its limit of shapes torch.compile would go on
    # uncompiled, and say so once.
    configure("torch._functorch.config", donated_buffer=False)
    configure("torch._dynamo.config", cache_size_limit=4 * len(SHAPES + OTHER_RANKS))
    compiled = torch.compile(eager) if hasattr(torch, "compile") else None
    cuda = options.device == "cuda"
    l2_bytes = getattr(torch.cuda.get_device_properties(0), "L2_cache_size", 50 << 20) if cuda else 1 << 20
    clock = Clock(options.device, l2_bytes)
    dtype = torch.bfloat16
    print(f"PyTorch {torch.__version__}")
    try:
        with open(options.table) as file:
            table = json.load(file)
    except (OSError, ValueError):
        table = {}
    table["torch"] = torch.__version__
    rows, left_out = table.setdefault("rows", []), table.setdefault("left_out", [])

    def save():
        """Puts another file in the place of the one before, which is whole if this is cut short."""
        with open(options.table + ".new", "w") as file:
            json.dump(table, file, indent=1)
        os.replace(options.table + ".new", options.table)

    def measure(group, name, frozen, make_calls):
        if time.monotonic() >= end:
            left_out.append(f"{group}, {name}")
            print(f"left out, no time: {group}, {name}", flush=True)
            return None
        try:
            microseconds, samples, host_bound = clock.median(make_calls())
        except Exception as error:  # one case that this torch cannot do is no reason to lose the others
            left_out.append(f"{group}, {name}: {error}")
            reason = " ".join(str(error).split("\n")[:2]) or type(error).__name__
            print(f"left out: {group}, {name}: {reason}", flush=True)
            return None
        over = f"{100 * (microseconds / frozen - 1):+7.1f}%" if frozen else " " * 8
        print(f"{group:<36} {'bfloat16':<9} {name:<36} {microseconds:9.1f} {'':9} {over}{' host-bound' if host_bound else ''}",
              flush=True)
        row = {"group": group, "dtype": "bfloat16", "call": name, "us": round(microseconds, 2), "samples": samples}
        if frozen:
            row["over_frozen"] = round(microseconds / frozen - 1, 4)
        if host_bound:
            row["host_bound"] = True
        rows.append(row)
        save()
        return microseconds

    frozen_times = {}  # of a group: forward and backward

    def sweep(shapes, function):
        for name, m, k, n, r in shapes:
            m, k, n = (max(size // options.shrink, 1) for size in (m, k, n))
            group = f"{name} {m},{k},{n},{r}"
            bytes_a_set, touched = 2 * (2 * m * k + 2 * m * n + n * k), 2 * (m * k + m * n + n * k)
            count = max(1, min(-(-2 * l2_bytes // touched), MOST_BYTES // bytes_a_set, MOST_SETS))
            sets = [Operands(options.device, dtype, m, k, n, r) for _ in range(count)]

            def frozen_forward():
                return [lambda o=o: functional.linear(o.x.detach(), o.w) for o in sets]

            def frozen_backward():
                return [lambda o=o: o.dy @ o.w for o in sets]

            if group not in frozen_times:
                frozen_times[group] = [measure(group, "torch frozen linear forward", None, frozen_forward),
                                       measure(group, "torch frozen linear dX", None, frozen_backward)]
            for p in (0.0, 0.1):
                for case, is_backward, make_calls in cases(sets, p, function):
                    measure(group, case, frozen_times[group][is_backward], make_calls)

    for shapes in (SHAPES, OTHER_RANKS):
        sweep(shapes, None)
        if compiled is not None:  # older than 2.0
            sweep(shapes, compiled)

    save()
    return 0


if __name__ == "__main__":
    sys.exit(main())
