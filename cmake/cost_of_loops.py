#!/usr/bin/env python3
"""Whether cost.h, choice.h and decoder_cost.h expect of loops the instructions that their machine code has.

usage: cost_of_loops.py COST CHOICE DECODER LOOPS

COST and CHOICE are these headers of native/src/linear/cuda, DECODER is decoder_cost.h, LOOPS is native/cuda-loops.txt, which the
test cuda_loops keeps equal to the machine code. A constant counts what a warp comes to in a step; of the skinny products under
dropout it counts clocks of the unit of integers, which instructions are close to.
"""

import pathlib
import re
import sys

MOST_OFF = 0.1
CONSTANT = re.compile(r"\b(k(?:Down|Grad|Masked|Up|Importance|Quantile|Decoded|Norm|Rotate|Gate)\w*) = ([\d.]+)\b")
MOST_OF_KEPT = 2  # instructions that the reading of a mask may be off


def constants_of(text):
    return {name: float(value) for name, value in CONSTANT.findall(text)}


def main_loops(text):
    """
    Of each kernel the loop of its steps: instructions, those of its shortest turn and of one that reads masks, and of the loops
    inside, those of row products and one that draws a mask.
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
                found[kernel] = {"all": own, "turn": int(turn[1]), "rows": 0, "products": 0, "draws": 0}
                if reads := re.search(r"without STS (\d+)", rest):
                    found[kernel]["reads"] = int(reads[1])
                depth_of_steps = depth
            elif kernel in found and depth > depth_of_steps:
                if "STS" in rest and "LDG" not in rest:
                    found[kernel]["draws"] += own
                if "HMMA" in rest:
                    found[kernel]["products"] += own
                elif "STG" in rest:
                    found[kernel]["rows"] += own
    return found


def main(arguments):
    if len(arguments) != 4:
        sys.exit(__doc__)
    cost = constants_of("".join(pathlib.Path(header).read_text() for header in arguments[:3]))
    table = pathlib.Path(arguments[3]).read_text()
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
    for clusters in ("", " clusters"):
        loop = re.search(rf"^linear_grad_input_warpgroup bf16 masked{clusters}: .*?loop (\d+), HGMMA 16, SHFL 16", table, re.M | re.S)
        # Two warps a scheduler, to which 16 ranks take two thirds of the loop: what has products of 64 ranks lies in it too.
        expected.append((f"masked ranks of dX, clocks{clusters}", cost["kMaskedRanks"], (int(loop[1]), 2 * int(loop[1]))))
        # The loop inside makes a word of four draws, or reads it.
        word = re.compile(r"\n +loop (\d+), LDG 4\n").search(table, loop.end())
        expected.append((f"masks of dX, a draw{clusters}", cost["kMaskedDraw"], near(int(word[1]) / 4)))
    # The kernels for any number of tiles count five; those for several modules too.
    down, grad = (cost[f"k{name}Step"] + 4 * cost[f"k{name}MoreRanks"] for name in ("Down", "Grad"))
    any_down, any_grad, many_down, many_grad = (
        loops[f"{name} bf16 aligned{rest}"] for rest in (" one module", "") for name in ("down", "grad"))
    runs_down, runs_grad = (loops[f"multi_{name} bf16 aligned"] for name in ("down", "grad"))
    any_of_down = down - cost["kDownAnyLess"]
    any_of_grad, kept_grad = grad + cost["kGradAny"], grad + cost["kGradAny"] + cost["kGradKept"] + cost["kGradAnyKept"]
    masked_down = down + cost["kDownMasks"] + cost["kDownKeeps"] + cost["kDownAnyMasks"]
    masked_grad = grad + cost["kGradMasks"] + cost["kGradAny"] + cost["kGradAnyMasks"]
    expected += [
        ("down, any tiles", any_of_down, near(any_down["turn"])),
        ("down, any tiles, masks", masked_down, near(any_down["all"])),
        ("down of runs, any tiles", any_of_down, near(runs_down["turn"])),
        ("down of runs, any tiles, masks", masked_down, near(runs_down["all"])),
        ("down, several modules", down + cost["kDownModules"], near(many_down["turn"])),
        ("grad, any tiles", any_of_grad, near(any_grad["turn"])),
        ("grad, any tiles, masks", masked_grad, near(any_grad["all"])),
        ("grad, any tiles, kept", kept_grad, near(any_grad["reads"])),
        ("grad of runs, any tiles", any_of_grad, near(runs_grad["turn"])),
        ("grad of runs, any tiles, masks", masked_grad, near(runs_grad["all"])),
        ("grad of runs, any tiles, kept", kept_grad, near(runs_grad["reads"])),
        # A loop draws a module's mask.
        ("down, several modules, masks", masked_down + cost["kDownModules"] + 4 * (cost["kDownMasks"] + cost["kDownKeeps"]),
         near(many_down["all"] + 5 * many_down["draws"])),
        ("grad, several modules, masks", masked_grad + cost["kGradModules"] + 4 * cost["kGradMasks"],
         near(many_grad["all"] + 5 * many_grad["draws"])),
        ("grad, several modules", any_of_grad + cost["kGradModules"], near(many_grad["turn"])),
    ]
    # Of runs the kernels for one tile each.
    runs_down, runs_grad = (loops[f"multi_{name} bf16 aligned tiles 1"] for name in ("down", "grad"))
    expected += [
        ("down of runs", cost["kDownStep"], near(runs_down["turn"])),
        ("down of runs, masks", cost["kDownStep"] + cost["kDownMasks"] + cost["kDownKeeps"], near(runs_down["all"])),
        ("grad of runs", cost["kGradStep"], near(runs_grad["turn"])),
        ("grad of runs, masks", cost["kGradStep"] + cost["kGradMasks"], near(runs_grad["all"])),
        ("grad of runs, kept", cost["kGradStep"] + cost["kGradKept"], near(runs_grad["reads"])),
    ]
    # up has no loop of steps: the table gives the shortest way through it, and the shortest turns of its loops. More ranks are
    # turns of those inside: one of two copies, S and A or B, and one of two multiplies.
    def numbers_of(line):
        return {name: int(number) for name, number in re.findall(r", (way|reading|drawing|mask read|shortest) (\d+)", line)}

    def ways_of(kernel):
        lines = re.search(rf"^{kernel}: .*\n(?: .*\n)+", table, re.M)[0].splitlines()
        return numbers_of(lines[0]), [numbers_of(line) for line in lines[1:]]

    # In the kernel for aligned rows a loop copies both, in that for any operands each has its own.
    for what, kernel, constants, both_copied in (("up", "up bf16 aligned", "kUp", True),
                                                 ("up of any rows", "up bf16", "kUpAny", False)):
        (up, up_loops), (masked, masked_loops) = (ways_of(kernel + rest) for rest in ("", " masked"))
        of_module, of_masked = up_loops[0], masked_loops[0]
        turns = sorted(loop["shortest"] for loop in up_loops[2:-2])
        copies = (turns[0], turns[-1]) if both_copied else (sum(turns[:2]), sum(turns[-2:]))
        products = sorted(loop["shortest"] for loop in up_loops[-2:])
        # Without dropout all modules are one sum; with it each passes through shared memory.
        with_masks, masked_module = (cost[constants + "Step"] + cost[constants + "Masked"], cost[constants + "MaskedModule"])
        expected += [
            (what, cost[constants + "Step"], near(up["way"])),
            (f"{what}, y read", cost[constants + "Reads"], near(up["reading"] - up["way"])),
            (f"{what}, a module more", cost[constants + "Module"], near(of_module["shortest"])),
            (f"{what}, 16 ranks more", cost[constants + "MoreRanks"],
             tuple(copy + product for copy, product in zip(copies, products))),
            (f"{what}, a mask drawn", with_masks + cost[constants + "Masks"], near(masked["drawing"])),
            (f"{what}, a mask read", with_masks + cost[constants + "Kept"], near(masked["mask read"])),
            (f"{what}, a module more that draws", masked_module + cost[constants + "Masks"], near(of_masked["drawing"])),
            (f"{what}, a module more that reads", masked_module + cost[constants + "Kept"], near(of_masked["mask read"])),
        ]
    up_of_runs, masked_of_runs = (ways_of(f"multi_up bf16 aligned{rest}")[0] for rest in ("", " masked"))
    with_masks = cost["kUpStep"] + cost["kUpMasked"]
    expected += [
        ("up of runs", cost["kUpStep"], near(up_of_runs["way"])),
        ("up of runs, y read", cost["kUpStep"] + cost["kUpReads"], near(up_of_runs["reading"])),
        ("up of runs, a mask drawn", with_masks + cost["kUpMasks"], near(masked_of_runs["drawing"])),
        ("up of runs, a mask read", with_masks + cost["kUpKept"], near(masked_of_runs["mask read"])),
    ]
    # Two groups of eight weights, and of eight gradients, in the loop that has four loads.
    loop = re.search(r"^statistics bf16: .*?loop (\d+), LDG 4, F2F", table, re.M | re.S)
    expected.append(("importance, a weight", cost["kImportanceWeight"], near(int(loop[1]) / 16)))
    # A quantile's loop loads two vectors of eight: all of its instructions, where it counts every weight, and its shortest turn.
    loop = re.search(r"^histogram bf16: .*?loop (\d+), LDG 2, vectors (\d+)", table, re.M | re.S)

    def turns(kernel, name="vectors"):
        """The shortest way through a kernel, and turns of its loops, that load and store vectors, each with those inside."""
        lines = re.search(rf"^{kernel}: .*\n(?: .*\n)*", table, re.M)[0].splitlines()
        named = (re.search(rf", {name} (\d+)", line) or re.search(r"vectors (\d+)", line) for line in lines)
        return [int(turn[1]) for turn in named if turn]

    by_warps, by_threads = "vectors with LDS", "without LDS"
    (_, of_nf4), (_, of_int8) = turns("decode_weights bf16", "vectors with LDS"), turns("decode_weights bf16", "without LDS")
    (gate,), (gate_backward,) = turns("gate_forward_kernel bf16 aligned"), turns("gate_backward_kernel bf16 aligned")
    row, pairs, *copies = turns("rotate_kernel bf16 aligned")
    expected += [
        ("quantile, a weight counted", cost["kQuantileWeight"], near(int(loop[1]) / 16)),
        ("quantile, a weight passed over", cost["kQuantilePassed"], near(int(loop[2]) / 16)),
        ("a weight of NF4 decoded", cost["kDecodedNf4"], near(of_nf4 / 8)),
        ("a weight of int8 decoded", cost["kDecodedInt8"], near(of_int8 / 8)),
        ("gate, eight elements", cost["kGateForward"], near(gate)),
        ("gate backward, eight elements", cost["kGateBackward"], near(gate_backward)),
        ("rotation, eight pairs", cost["kRotatePairs"], near(pairs)),
        ("rotation, a row", cost["kRotateRow"], near(row - pairs - sum(copies))),
    ]
    for kernel, what, constants, readings in (
        ("rms_norm_forward_kernel bf16 aligned", "norm", "kNorm", ("kNormSquares", "kNormScaled")),
        ("rms_norm_backward_kernel bf16 aligned", "norm backward", "kNormBackward", ("kNormProducts", "kNormGradients")),
    ):
        whole, first, second = turns(kernel, by_warps)
        alone = turns(kernel, by_threads)[0]
        expected += [
            (f"{what}, first reading", cost[readings[0]], near(first)),
            (f"{what}, second reading", cost[readings[1]], near(second)),
            (f"{what}, a run of warps", cost[constants + "Run"], near(whole - first - second)),
            (f"{what}, a run of threads", cost[constants + "RunOfWarp"], near(alone - first - second)),
        ]
    off = 0
    for what, by_cost, (least, most) in expected:
        wrong = not least <= by_cost <= most
        off += wrong
        print(f"{what:32} cost.h {by_cost:4g}, counted {least:4.0f} to {most:4.0f}{'  NOT within' if wrong else ''}")
    return off


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
