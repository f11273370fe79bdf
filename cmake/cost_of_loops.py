#!/usr/bin/env python3
"""Whether cost.h and choice.h expect of loops the instructions that their machine code has.

usage: cost_of_loops.py COST CHOICE LOOPS

COST and CHOICE are these headers of native/src/linear/cuda, LOOPS is native/cuda-loops.txt, which the test cuda_loops keeps equal
to the machine code. A constant counts what a warp comes to in a step; of the skinny products under dropout it counts clocks of the
unit of integers, which instructions are close to.
"""

import pathlib
import re
import sys

MOST_OFF = 0.1
MOST_OF_KEPT = 2  # instructions that the reading of a mask may be off


def constants_of(text):
    return {name: int(value) for name, value in re.findall(r"\b(k(?:Down|Grad|Masked|Up|Importance)\w*) = (\d+)\b", text)}


def main_loops(text):
    """
    Of each kernel the loop of its steps: instructions, those of its shortest turn and of one that reads masks, and of the loops of
    row products inside.
    """
    found, kernel, depth_of_steps = {}, None, 0
    for line in text.splitlines()[1:]:
        head = re.match(r"(\w[^:]*): ", line)
        loop = re.match(r"( +)loop (\d+)(.*)", line)
        if head:
            kernel = head[1]
        elif loop:
            depth, own, rest = len(loop[1]), int(loop[2]), loop[3]
            turn = re.search(r"turn (\d+)", rest)
            if turn:  # the innermost that has one
                found[kernel] = {"all": own, "turn": int(turn[1]), "rows": 0, "products": 0}
                if reads := re.search(r"without STS (\d+)", rest):
                    found[kernel]["reads"] = int(reads[1])
                depth_of_steps = depth
            elif kernel in found and depth > depth_of_steps:
                if "HMMA" in rest:
                    found[kernel]["products"] += own
                elif "STG" in rest:
                    found[kernel]["rows"] += own
    return found


def main(arguments):
    if len(arguments) != 3:
        sys.exit(__doc__)
    cost = constants_of("".join(pathlib.Path(header).read_text() for header in arguments[:2]))
    table = pathlib.Path(arguments[2]).read_text()
    loops = main_loops(table)
    expected = []  # what, by cost.h, and the least and most that it may be
    near = lambda counted: (counted / (1 + MOST_OFF), counted * (1 + MOST_OFF))
    for tiles in (1, 2, 4):
        down = cost["kDownStep"] + cost["kDownMoreRanks"] * (tiles - 1)
        grad = cost["kGradStep"] + cost["kGradMoreRanks"] * (tiles - 1)
        of_down, of_grad, of_rows = (loops[f"{name} bf16 aligned tiles {tiles}{rows}"]
                                     for name, rows in (("down", ""), ("grad", ""), ("grad", " rows")))
        expected += [
            (f"down, {tiles} tiles", down, near(of_down["turn"])),
            (f"down, {tiles} tiles, masks", down + cost["kDownMasks"] + cost["kDownKeeps"], near(of_down["all"])),
            (f"grad, {tiles} tiles", grad, near(of_grad["turn"])),
            (f"grad, {tiles} tiles, masks", grad + cost["kGradMasks"], near(of_grad["all"])),
            # To the last few instructions: of a turn that reads its masks, what one without masks does not have.
            (f"grad, {tiles} tiles, kept alone", cost["kGradKept"],
             tuple(of_grad["reads"] - of_grad["turn"] + off for off in (-MOST_OF_KEPT, MOST_OF_KEPT))),
        ]
        # Half of the warps, or all, take tiles of row products: the loop of products has two turns for each of them, and what
        # loads and stores sums has two ways, of which the shortest turn takes neither.
        taken = (tiles + 1) // 2
        least = of_rows["turn"] + of_rows["products"]
        most = of_rows["all"] + taken * (of_rows["rows"] + 2 * of_rows["products"])
        expected.append((f"grad, {tiles} tiles, rows", grad + 2 * taken * cost["kGradRows"], (least, most)))
    for tiles in (1, 2, 3, 4):
        loop = re.search(rf"^linear_forward_with_s bf16 masked tiles {tiles}: .*?loop (\d+), HGMMA 8, LDSM 4", table, re.M | re.S)
        expected.append((f"S made, {tiles} tiles, masks", cost["kMaskedStep"], near(int(loop[1]))))
    # The kernels for any number of tiles count five; those for several modules too.
    down, grad = (cost[f"k{name}Step"] + 4 * cost[f"k{name}MoreRanks"] for name in ("Down", "Grad"))
    any_down, any_grad, many_down, many_grad = (
        loops[f"{name} bf16 aligned{rest}"] for rest in (" one module", "") for name in ("down", "grad"))
    masked_down = down + cost["kDownMasks"] + cost["kDownKeeps"] + cost["kDownAnyMasks"]
    masked_grad = grad + cost["kGradMasks"] + cost["kGradAny"] + cost["kGradAnyMasks"]
    expected += [
        ("down, any tiles, masks", masked_down, near(any_down["all"])),
        ("down, several modules", down + cost["kDownModules"], near(many_down["turn"])),
        ("grad, any tiles", grad + cost["kGradAny"], near(any_grad["turn"])),
        ("grad, any tiles, masks", masked_grad, near(any_grad["all"])),
        ("grad, several modules", grad + cost["kGradAny"] + cost["kGradModules"], near(many_grad["turn"])),
    ]
    # up has no loop of steps: the table gives the shortest way through it. What a module's turn of its loop takes besides is part
    # of it; masks are drawn or read there.
    def ways_of(kernel):
        ways = re.search(rf"^{kernel}: .*, way (\d+), reading (\d+)\n  loop (\d+)", table, re.M)
        return tuple(int(number) for number in ways.groups())

    way, reading, _ = ways_of("up bf16")
    masked, _, of_module = ways_of("up bf16 masked")
    way_of_runs, _, _ = ways_of("multi_up bf16")
    masked_of_runs, _, _ = ways_of("multi_up bf16 masked")
    expected += [
        ("up", cost["kUpStep"], near(way)),
        ("up, y read", cost["kUpStep"] + cost["kUpReads"], near(reading)),
        ("up of runs", cost["kUpStep"], near(way_of_runs)),
        ("up, masked", cost["kUpStep"] + cost["kUpMasked"], near(masked)),
        ("up of runs, masked", cost["kUpStep"] + cost["kUpMasked"], near(masked_of_runs)),
        ("up, masks", cost["kUpMasks"] + cost["kUpKept"], (0, of_module)),
    ]
    # Two groups of eight weights, and of eight gradients, in the loop that has four loads.
    loop = re.search(r"^statistics bf16: .*?loop (\d+), LDG 4, F2F", table, re.M | re.S)
    expected.append(("importance, a weight", cost["kImportanceWeight"], near(int(loop[1]) / 16)))
    off = 0
    for what, by_cost, (least, most) in expected:
        wrong = not least <= by_cost <= most
        off += wrong
        print(f"{what:24} cost.h {by_cost:4}, counted {least:4.0f} to {most:4.0f}{'  NOT within' if wrong else ''}")
    return off


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
