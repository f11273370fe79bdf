#!/usr/bin/env python3
"""Holds what cost.h predicts of each family to what the emulator counts, and makes the documentation's table of both.

usage: families.py PREDICTIONS COUNTED SMALL DOCUMENT [--update]

PREDICTIONS is native/cuda-predictions.txt, COUNTED is native/cuda-counted-shapes.txt, both of the shapes of models, SMALL is
native/cuda-counted.txt, which alone has the fused linears, at a small shape. DOCUMENT has the table, which begins with HEAD;
--update writes it there.
"""

import pathlib
import re
import sys

HEAD = "| at 8192 × 4096 × 4096, r 16 |"
SHAPE, OTHERS = "Llama-7B", ("MiniLM", "RoBERTa-large")
MOST_OFF = 0.1
# Of what is moved beyond the least, and of the least.
MOST_OFF_BEYOND, MOST_OFF_LEAST = 0.15, 0.005
# Bytes that are predicted of calls that begin and end so, over those counted: slots of a part that have not left the cache are written
# over by the next one's.
MORE_PREDICTED = (
    ("lora_grad_up", ", stack of 3", {"MiniLM": 1.58, "RoBERTa-large": 1.36, "Llama-7B": 1.07}),
    ("adapter_backward", "", {"MiniLM": 1.22, "RoBERTa-large": 1.06, "Llama-7B": 1.02}),
)
MORE_OFF = 0.02
# The eight that are counted have the same A and B.
SHARED = ", 8 modules"
# What is counted apart, or not at all.
APART = re.compile(r"linear_|quantized_.*decoded before|decoding W")


def rows_of_predictions(text):
    """By shape and call: least and moved MB, million instructions, launches, us, what binds."""
    found, shape = {}, None
    for line in text.splitlines():
        if head := re.match(r"By themselves, at the shape of ([^,]+), ", line):
            shape = found.setdefault(head[1], {})
        elif shape is not None and line.startswith("  "):
            name, least, moved, instructions, launches, time, bound = re.match(
                r"  (.+?) +([\d.]+) +([\d.]+) +[\d.]+ +([\d.]+|-) +(\d+) +([\d.]+)  (.+)$", line
            ).groups()
            shape[name] = {
                "least": float(least),
                "moved": float(moved),
                "instructions": instructions,
                "launches": launches,
                "us": float(time),
                "bound": bound,
            }
        else:
            shape = None
    return found


def rows_of_counted(text):
    """By shape and call: MB."""
    found = {}
    for line in text.splitlines()[1:]:
        shape, name, megabytes = re.match(r"(.{14}) (.+?) +([\d.]+)$", line).groups()
        found.setdefault(shape.strip(), {})[name] = float(megabytes)
    return found


def rows_of_small(text):
    """By call in bfloat16: bytes by cost.h, of those counted."""
    numbers = r" +[\d.]+" * 6 + r" +([\d.]+)"
    return {row[1]: row[2] for row in re.finditer(rf"^bfloat16 (.+?) +\d+ x +\d+ x +\d+{numbers}", text, re.M)}


def named_ratio(shape, name):
    for begin, end, shapes in MORE_PREDICTED:
        if name.startswith(begin) and name.endswith(end) and shape in shapes:
            return shapes[shape]
    return None


def problems(predicted, counted):
    for shape in (SHAPE, *OTHERS):
        rows = dict(counted.get(shape, {}))
        # A call back through codes moves what the one forward does.
        for name in [name for name in rows if name.startswith("quantized_grad_input")]:
            if rows.pop(name) != rows[name.replace("grad_input", "forward")]:
                yield f"{shape}: {name} moves other bytes than forward"
        of_predicted = {name for name in predicted[shape] if not APART.match(name)}
        for name in sorted(rows.keys() ^ of_predicted):
            yield f"{shape}: {name} is only {'counted' if name in rows else 'predicted'}"
        for name in sorted(rows.keys() & of_predicted):
            least, moved, there = predicted[shape][name]["least"], predicted[shape][name]["moved"], rows[name]
            what = f"{shape}: {name}, least {least} MB, is predicted to move {moved} MB, counted {there}"
            more, shared = named_ratio(shape, name), name.endswith(SHARED)
            if more is not None:
                if abs(moved / there - more) > MORE_OFF:
                    yield f"{what}: not as the exception has it"
            elif abs(moved - there) > MOST_OFF * there:
                yield what
            elif not shared and abs(moved - there) > MOST_OFF_BEYOND * max(there - least, 0) + MOST_OFF_LEAST * least:
                yield f"{what}: beyond the least"
            if there < least * (0.9 if shared else 0.995):
                yield f"{what}: less than its operands"


def table(predicted, counted, small, megabytes_a_microsecond):
    columns = ["least MB", "counted MB", "of least", "`cost.h`, of counted", "million instructions", "launches", "µs",
               "over its least bytes", "bound by", "of least at MiniLM, r 32", "RoBERTa-large, r 32"]
    yield f"{HEAD} {' | '.join(columns)} |"
    yield "|" + " --- |" * (1 + len(columns))
    for name, row in predicted[SHAPE].items():
        ratios = []
        for shape in (SHAPE, *OTHERS):
            least = predicted[shape].get(name, {}).get("least")
            megabytes = counted[shape].get(name)
            ratios.append("" if least is None or megabytes is None else f"{megabytes / least:.2f}")
        megabytes = counted[SHAPE].get(name)
        if megabytes is not None:
            count, of_counted = f"{megabytes:.1f}", f"{row['moved'] / megabytes:.2f}"
        else:  # of the small shape
            of_counted = small.get(name)
            count = f"({row['moved']:.1f})"
            ratios[0] = f"({row['moved'] / row['least']:.2f})"
            of_counted = f"({of_counted})" if of_counted else ""
        left = "" if row["bound"] == "products" else f"{max(0.0, row['us'] - row['least'] / megabytes_a_microsecond):.1f}"
        cells = [name, f"{row['least']:.1f}", count, ratios[0], of_counted, row["instructions"], row["launches"],
                 f"{row['us']:.0f}", left, row["bound"], *ratios[1:]]
        yield "| " + " | ".join(cells) + " |"


def main(arguments):
    update = arguments[-1:] == ["--update"]
    if len(arguments) != 4 + update:
        sys.exit(__doc__)
    paths = [pathlib.Path(argument) for argument in arguments[:4]]
    predicted, counted, small = (
        rows(path.read_text()) for rows, path in zip((rows_of_predictions, rows_of_counted, rows_of_small), paths)
    )
    copied = float(re.search(r"\(copy ([\d.]+) TB/s", paths[0].read_text())[1])  # MB a microsecond
    wrong = list(problems(predicted, counted))
    for line in wrong:
        print(line)
    made = [re.sub(r" +\|", " |", line) for line in table(predicted, counted, small, copied)]
    lines = paths[3].read_text().splitlines()
    first = next((i for i, line in enumerate(lines) if line.startswith(HEAD)), None)
    if first is None:
        sys.exit(f"{paths[3]} has no table that begins with {HEAD}")
    last = next(i for i in range(first, len(lines)) if not lines[i].startswith("|"))
    if lines[first:last] != made:
        if update:
            paths[3].write_text("\n".join(lines[:first] + made + lines[last:]) + "\n")
        else:
            wrong.append("table")
            print(f"{paths[3]} has another table. If that is meant, build the target update_cuda_families.")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
