#!/usr/bin/env python3
"""A table of the loops of CUDA kernels, from their machine code, without a disassembler.

usage: cuda_loops.py FOLDER VERSION TABLE [--update]

FOLDER holds the cubins that CudaResources.cmake has made for sm_90a, and kernels.txt: a kernel a line, its name in the table, a
tab and its name in the cubins. TABLE is the file under version control. It is compared if it is of the compiler VERSION, and
written with --update if there is a kernel; the exit code is 77 where it is of another compiler. A kernel that uses local memory
is an error in either case.

An instruction has 16 bytes; its lowest nine bits are the operation, the next three the form of its operands. A loop is a natural
loop: it is entered at its head alone. Its instructions are all that lie in it, whether a turn comes to them or not, without those
of loops inside. Of a loop with products (HMMA) and copies (LDGSTS), "turn" is the shortest one that comes to all of its products
and wherever it copies several vectors, by one turn of each loop inside; of one without loops inside that leaves nothing in memory, "without STS" is
the longest that stores nothing in shared memory, if others do: it reads masks, where others draw them.

Of a kernel with products and copies whose loops have no turn, "way" is the shortest way through it, by one turn of each loop that
it comes to, that stores vectors of 16 bytes wherever it can, and makes products and copies; "reading" one that also loads such
vectors wherever it can. Of its loops "shortest" is such a turn, with the products and copies that lie inside. "drawing" is the same
that draws masks, in blocks of many wide products of integers, "mask read" one that loads masks, which it does by bytes.

Of a kernel without products, copies and float64, "vectors" is the shortest way through it, and the shortest turn of a loop, that
stores and loads vectors of 16 bytes wherever it can, by one turn of each loop inside; where it also loads from shared memory,
"vectors with LDS" is that of ways that do so wherever they can, "without LDS" of those that do so least, and load most from
elsewhere.

Ways, and turns of vectors, call functions as little as they can: the code of a division calls one for numbers that its own few
instructions are not for.
"""

import collections
import difflib
import pathlib
import struct
import sys

INSTRUCTION_BYTES = 16
NOT_COMPARED = 77  # the exit code, which CTest shows as skipped
LEAST_INSTRUCTIONS = 16  # of loops that do nothing of OPERATIONS

CALL, BRANCH, EXIT, RETURN = 0x144, 0x147, 0x14D, 0x150
ALWAYS = 7  # the predicate that is true
BYTE, VECTOR_OF_16_BYTES = 0, 6  # sizes of loads and stores
WIDE_PRODUCT, LEAST_OF_DRAWS = 0x25, 8  # instructions of a block that draws masks
LOCAL_MEMORY = {0x183: "LDL", 0x187: "STL"}
# What the table names; the rest is address arithmetic and flow.
OPERATIONS = {
    0x1F0: "HGMMA",
    0x03C: "HMMA",
    0x03B: "LDSM",
    0x1B4: "UTMALDG",
    0x1AE: "LDGSTS",
    0x180: "LDG",  # and of pointers that the compiler does not know to be global
    0x181: "LDG",
    0x185: "STG",
    0x186: "STG",
    0x184: "LDS",
    0x188: "STS",
    0x1A8: "ATOM",
    0x18E: "ATOM",
    0x104: "F2F",
    0x110: "F2F",
    0x106: "I2F",
    0x112: "I2F",
    0x105: "F2I",
    0x111: "F2I",
    0x03E: "F2FP",
    0x108: "MUFU",
    0x028: "FP64",
    0x029: "FP64",
    0x02A: "FP64",
    0x02B: "FP64",
    0x023: "FFMA",
    0x189: "SHFL",
    0x11D: "BAR",
    0x1A7: "SYNCS",  # of mbarriers
}
ORDER = list(dict.fromkeys(OPERATIONS.values()))


class Loop:
    def __init__(self, head):
        self.head = head
        self.blocks = {head}
        self.inside = []


def kernels_of(cubin):
    """The instructions of each kernel of an ELF file, as pairs of 64 bits, by its name there."""
    data = cubin.read_bytes()
    (sections,) = struct.unpack_from("<Q", data, 0x28)
    size, count, names = struct.unpack_from("<HHH", data, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", data, sections + i * size) for i in range(count)]
    kernels = {}
    for header in headers:
        begin = headers[names][4] + header[0]
        name = data[begin : data.index(b"\0", begin)].decode()
        if name.startswith(".text."):
            kernels[name[len(".text.") :]] = list(struct.iter_unpack("<QQ", data[header[4] : header[4] + header[5]]))
    return kernels


def operation(instruction):
    return instruction[0] & 0x1FF


def is_conditional(instruction):
    low, high = instruction
    return low >> 12 & 15 != ALWAYS or (operation(instruction) == BRANCH and high >> 23 & 15 != ALWAYS)


def branch_target(index, instruction):
    """Of a branch, which names how many quarters of four bytes lie between its end and its target."""
    low, high = instruction
    distance = ((high & 0x3FFFF) << 30 | low >> 34) << 8 | low >> 16 & 0xFF
    if distance >= 1 << 55:
        distance -= 1 << 56
    return index + 1 + distance * 4 // INSTRUCTION_BYTES


def basic_blocks(code):
    """The first instruction of each block, and where each block leads."""
    ends = {i for i, instruction in enumerate(code) if operation(instruction) in (BRANCH, EXIT, RETURN)}
    targets = {i: branch_target(i, code[i]) for i in ends if operation(code[i]) == BRANCH}
    starts = sorted({0} | {i + 1 for i in ends if i + 1 < len(code)} | {t for t in targets.values() if 0 <= t < len(code)})
    number = {start: block for block, start in enumerate(starts)}
    leads = []
    for block, start in enumerate(starts):
        last = (starts[block + 1] if block + 1 < len(starts) else len(code)) - 1
        to = set()
        if last in targets and targets[last] in number:
            to.add(number[targets[last]])
        if (last not in ends or is_conditional(code[last])) and block + 1 < len(starts):
            to.add(block + 1)
        leads.append(to)
    return starts, leads


def dominators(leads):
    """Of each block the set, in bits, of those that every way to it passes; 0 where there is no way."""
    before = [[] for _ in leads]
    for block, to in enumerate(leads):
        for after in to:
            before[after].append(block)
    every = (1 << len(leads)) - 1
    order, seen, stack = [], {0}, [(0, iter(sorted(leads[0])))]
    while stack:
        block, rest = stack[-1]
        after = next((b for b in rest if b not in seen), None)
        if after is None:
            order.append(block)
            stack.pop()
        else:
            seen.add(after)
            stack.append((after, iter(sorted(leads[after]))))
    order.reverse()
    sets = [every if block in seen else 0 for block in range(len(leads))]
    sets[0] = 1
    changed = True
    while changed:
        changed = False
        for block in order[1:]:
            common = every
            for other in before[block]:
                if other in seen:
                    common &= sets[other]
            common |= 1 << block
            changed = changed or common != sets[block]
            sets[block] = common
    return sets, before


def loops_of(starts, leads):
    """The outermost loops, each with those inside it, in the order of their heads."""
    above, before = dominators(leads)
    found = {}
    for block, to in enumerate(leads):
        for head in to:
            if not above[block] >> head & 1:
                continue
            loop = found.setdefault(head, Loop(head))
            waiting = [block]
            while waiting:
                part = waiting.pop()
                if part not in loop.blocks and above[part]:
                    loop.blocks.add(part)
                    waiting.extend(before[part])
    outermost = []
    by_size = sorted(found.values(), key=lambda loop: (len(loop.blocks), loop.head))
    for i, loop in enumerate(by_size):
        around = next((other for other in by_size[i + 1 :] if loop.blocks < other.blocks), None)
        (outermost if around is None else around.inside).append(loop)
    return outermost


def found_in(loop, code, starts):
    """Operations of each of the loop's blocks."""
    ends = starts[1:] + [len(code)]
    return {b: collections.Counter(OPERATIONS.get(operation(i)) for i in code[starts[b] : ends[b]]) for b in loop.blocks}


def forward_of(loop, leads, above):
    """Where each block of a loop leads within a turn, and an order of blocks in which each comes after all that lead to it."""
    forward = {b: [to for to in leads[b] if to in loop.blocks and not above[b] >> to & 1] for b in loop.blocks}
    order, seen = [], set()

    def visit(block):
        seen.add(block)
        for to in forward[block]:
            if to not in seen:
                visit(to)
        order.append(block)

    visit(loop.head)
    return forward, order[::-1]


def longest_turn_without_stores(loop, code, starts, leads, above):
    """Instructions of the longest turn that stores nothing in shared memory; None if none does."""
    ends = starts[1:] + [len(code)]
    found = found_in(loop, code, starts)
    stores = {b for b, f in found.items() if f["STS"]}
    if not stores or loop.head in stores or loop.inside or any(f["STG"] for f in found.values()):
        return None
    forward, order = forward_of(loop, leads, above)
    longest = {loop.head: 0}  # instructions before a block
    for block in order:
        if block not in longest:
            continue
        for to in forward[block]:
            if to not in stores:
                longest[to] = max(longest.get(to, 0), longest[block] + ends[block] - starts[block])
    turns = [longest[b] + ends[b] - starts[b] for b in longest if loop.head in leads[b]]
    return max(turns, default=None)


def shortest_turn(loop, code, starts, leads, above):
    """Instructions of the shortest turn that makes what the loop is for; None if it has no products, or no turn makes all."""
    ends = starts[1:] + [len(code)]
    found = found_in(loop, code, starts)
    if not any(f["LDGSTS"] for f in found.values()):
        return None
    wanted = {b for b, f in found.items() if f["HMMA"] or f["LDGSTS"] > 1}
    if not any(found[b]["HMMA"] for b in wanted):
        return None
    forward, order = forward_of(loop, leads, above)
    best = {loop.head: (0, 0)}  # of ways to a block: wanted blocks before it, fewest instructions before it
    for block in order:
        passed, length = best[block]
        after = (passed - (block in wanted), length + ends[block] - starts[block])
        for to in forward[block]:
            best[to] = min(best.get(to, (0, sys.maxsize)), after)
    turns = [
        (best[b][0] - (b in wanted), best[b][1] + ends[b] - starts[b]) for b in best if loop.head in leads[b]
    ]
    passed, length = min(turns)
    return length if -passed == len(wanted) else None


def size_of(instruction):
    """Of a load or store."""
    return instruction[1] >> 9 & 7


def number_of(name, size=None):
    """Counts an operation, of one size or any, in a block."""

    def count(block):
        return sum(OPERATIONS.get(operation(i)) == name and size in (None, size_of(i)) for i in block)

    return count


def draws_in(block):
    wide = sum(operation(i) == WIDE_PRODUCT for i in block)
    return wide if wide >= LEAST_OF_DRAWS else 0


def calls_in(block):
    return sum(operation(i) == CALL for i in block)


def shortest_way(loop, code, starts, leads, above, wanted, avoided=()):
    """
    Instructions of the shortest of the ways that come to most of each of the wanted, the first first, and then to least of each of
    the avoided, and of calls; None if a block has some of the last wanted, and no way comes to it. A way is a turn of the loop, or
    leads to an exit.
    """
    ends = starts[1:] + [len(code)]
    forward, order = forward_of(loop, leads, above)
    own = {}  # of a block: fewer than none of the wanted, the avoided, calls, instructions
    for block in order:
        part = code[starts[block] : ends[block]]
        own[block] = tuple(-of(part) for of in wanted) + tuple(of(part) for of in (*avoided, calls_in)) + (len(part),)
    best = {loop.head: (0,) * len(own[loop.head])}  # of ways to a block
    ways = []
    for block in order:
        after = tuple(map(sum, zip(best[block], own[block])))
        for to in forward[block]:
            best[to] = min(best.get(to, after), after)
        leaves = any(operation(i) == EXIT for i in code[starts[block] : ends[block]])
        if loop.head in leads[block] or (loop.head == 0 and leaves):
            ways.append(after)
    shortest = min(ways)
    return shortest[-1] if shortest[len(wanted) - 1] else None


PRODUCTS_AND_COPIES = [number_of("HMMA"), number_of("LDGSTS")]
VECTORS_AND_ALL = [number_of("STG", VECTOR_OF_16_BYTES)] + PRODUCTS_AND_COPIES
VECTORS = [number_of(name, VECTOR_OF_16_BYTES) for name in ("STG", "LDG")]
LOADS, TABLES = number_of("LDG"), number_of("LDS")
MASKS = {"drawing": draws_in, "mask read": number_of("LDG", BYTE)}


def whole(starts, above):
    """The kernel, as if it were a loop."""
    kernel = Loop(0)
    kernel.blocks = {block for block in range(len(starts)) if above[block]}
    return kernel


def ways_of(code, starts, leads, above, lines):
    if any(", turn " in line for line in lines) or not all(of(code) for of in VECTORS_AND_ALL):
        return ""
    kernel = whole(starts, above)
    wanted = {"way": VECTORS_AND_ALL, "reading": VECTORS_AND_ALL + [number_of("LDG", VECTOR_OF_16_BYTES)]}
    wanted.update((name, VECTORS_AND_ALL + [of]) for name, of in MASKS.items())
    return "".join(
        f", {name} {way}" for name, of in wanted.items() if (way := shortest_way(kernel, code, starts, leads, above, of))
    )


def turns_of(loop, code, starts, leads, above):
    """Of a loop in a kernel that has ways."""
    blocks = [code[starts[b] : (starts[1:] + [len(code)])[b]] for b in loop.blocks]
    wanted = [of for of in PRODUCTS_AND_COPIES if any(map(of, blocks))]
    if not wanted:
        return ""
    names = {"shortest": wanted}
    names.update((name, wanted + [of]) for name, of in MASKS.items())
    return "".join(
        f", {name} {turn}" for name, of in names.items() if (turn := shortest_way(loop, code, starts, leads, above, of))
    )


def has_vectors_alone(code):
    return not any(OPERATIONS.get(operation(i)) in ("HGMMA", "HMMA", "UTMALDG", "LDGSTS", "FP64") for i in code)


def turns_of_vectors(loop, code, starts, leads, above):
    """Of a loop in a kernel that has neither products nor copies."""
    blocks = [code[starts[b] : (starts[1:] + [len(code)])[b]] for b in loop.blocks]
    wanted = [of for of in VECTORS if any(map(of, blocks))]
    if not wanted:
        return ""
    if not any(map(TABLES, blocks)):
        return f", vectors {shortest_way(loop, code, starts, leads, above, wanted)}"
    with_tables = shortest_way(loop, code, starts, leads, above, wanted + [TABLES])
    without = shortest_way(loop, code, starts, leads, above, wanted + [LOADS], [TABLES])
    return f", vectors with LDS {with_tables}, without LDS {without}"


def counts(code):
    found = collections.Counter(OPERATIONS[operation(i)] for i in code if operation(i) in OPERATIONS)
    return "".join(f", {name} {found[name]}" for name in ORDER if found[name])


def describe(loop, code, starts, leads, above, by_ways, depth=1):
    """The loop's line, and the lines of those inside."""
    own = set(loop.blocks)
    for inside in loop.inside:
        own -= inside.blocks
    ends = starts[1:] + [len(code)]
    instructions = [i for block in sorted(own) for i in code[starts[block] : ends[block]]]
    inside = sorted(loop.inside, key=lambda l: l.head)
    lines = [line for part in inside for line in describe(part, code, starts, leads, above, by_ways, depth + 1)]
    named = counts(instructions)
    if not lines and not named and len(instructions) < LEAST_INSTRUCTIONS:
        return []
    turn = shortest_turn(loop, code, starts, leads, above)
    reads = longest_turn_without_stores(loop, code, starts, leads, above) if turn else None
    turns = (f", turn {turn}" if turn else "") + (f", without STS {reads}" if reads else "")
    if by_ways:
        turns = turns_of(loop, code, starts, leads, above)
    elif has_vectors_alone(code):
        turns = turns_of_vectors(loop, code, starts, leads, above)
    return ["  " * depth + f"loop {len(instructions)}{named}{turns}"] + lines


def lines_of(code):
    """The whole kernel, then its loops."""
    starts, leads = basic_blocks(code)
    above, _ = dominators(leads)
    loops = sorted(loops_of(starts, leads), key=lambda loop: loop.head)

    def lines_by(by_ways):
        return [line for loop in loops for line in describe(loop, code, starts, leads, above, by_ways)]

    lines = lines_by(False)
    ways = ways_of(code, starts, leads, above, lines)
    if ways:
        lines = lines_by(True)
    elif has_vectors_alone(code) and VECTORS[0](code):
        ways = turns_of_vectors(whole(starts, above), code, starts, leads, above)
    return [f"{len(code)}{counts(code)}{ways}"] + lines


def local_memory(code):
    return sorted({LOCAL_MEMORY[operation(i)] for i in code if operation(i) in LOCAL_MEMORY})


def table_of(folder):
    """The table, empty if there is no kernel, and what is wrong with kernels."""
    names = dict(reversed(line.split("\t")) for line in (folder / "kernels.txt").read_text().splitlines())
    kernels, errors = {}, []
    for cubin in sorted(folder.glob("*.cubin")):
        for mangled, code in kernels_of(cubin).items():
            name = names.get(mangled, mangled)
            variants = kernels.setdefault(name, [])
            lines = lines_of(code)
            if lines not in variants:
                variants.append(lines)
            if local_memory(code):
                errors.append(f"{name} uses local memory ({', '.join(local_memory(code))})")
    if not kernels:
        errors.append(f"no kernel found in {folder}")
    text = []
    for name in sorted(kernels):
        bfloat16 = name.replace(" half", " bf16")
        if bfloat16 != name and kernels.get(bfloat16) == kernels[name]:
            text.append(f"{name}: as bf16")
            continue
        for lines in kernels[name]:
            text.append(f"{name}: {lines[0]}")
            text += lines[1:]
    return text, errors


def main(arguments):
    update = arguments[-1:] == ["--update"]
    if len(arguments) != 3 + update:
        sys.exit(__doc__)
    folder, version, kept = pathlib.Path(arguments[0]), arguments[1], pathlib.Path(arguments[2])
    text, errors = table_of(folder)
    for error in errors:
        print(error, file=sys.stderr)
    if not text:
        return len(errors)
    text = [f"nvcc {version}, sm_90a"] + text
    if update:
        kept.write_text("\n".join(text) + "\n")
        return len(errors)
    before = kept.read_text().splitlines() if kept.exists() else []
    if before[:1] != text[:1]:
        print("\n".join(text))
        print(f"{kept.name} is of {before[0] if before else 'no compiler'}: not compared with nvcc {version}")
        return min(len(errors), 1) or NOT_COMPARED
    difference = list(difflib.unified_diff(before, text, str(kept), "this build", lineterm=""))
    if difference:
        print("\n".join(difference))
        print("The kernels have other loops than the table says. If that is meant, build the target update_cuda_resources,")
        print("in a build without PRUNEPEFT_CUDA_ONLY.")
    return len(errors) + bool(difference)


if __name__ == "__main__":
    result = main(sys.argv[1:])
    sys.exit(result if result == NOT_COMPARED else min(result, 1))
