#!/usr/bin/env python3
"""Breaks random lines of the kernels, one at a time, and counts the mutants that the emulated tests do not notice.

    native/emulator/mutate.py BUILD [--count 200] [--seed 1] [--file NAME] [--jobs 2]

BUILD is a build folder (Ninja) of native/ with the tests built. Mutants that don't compile are not counted. Prints each survivor;
docs/testing.md says why the known ones live. Tile sizes are left alone: with another tiling
a kernel takes another path to the same result. Exit code 0: at least 90 % of the compiled mutants were killed.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import random
import re
import shlex
import subprocess
import sys
import tempfile
import time

LEAST_KILLED = 0.9
SOURCE = pathlib.Path(__file__).resolve().parent.parent / "src"
ALL_UNITS = ["skinny/down.cu", "skinny/grad.cu", "skinny/up.cu", "importance/importance_cuda.cu", "importance/magnitude_cuda.cu",
             "lora/lora_cuda.cu", "adapter/adapter_cuda.cu"]
SKINNY_UNITS = ALL_UNITS[:3] + ALL_UNITS[4:]
LORA, ADAPTER, IMPORTANCE = "lora_cuda_emulated", "adapter_cuda_emulated", "importance_cuda_emulated"
# Kernel file: the sources that include it, the tests that run it.
FILES = {
    "skinny/down.cuh": (["skinny/down.cu"], [LORA, ADAPTER]),
    "skinny/grad.cuh": (["skinny/grad.cu"], [ADAPTER, LORA]),
    "skinny/up.cuh": (["skinny/up.cu"], [IMPORTANCE, ADAPTER, LORA]),
    "skinny/finish.cuh": (ALL_UNITS[:3], [ADAPTER, LORA]),
    "skinny/product.cuh": (ALL_UNITS[:3], [ADAPTER, LORA]),
    "skinny/tile.cuh": (ALL_UNITS[:3], [ADAPTER, LORA]),
    "skinny/dropout.cuh": (ALL_UNITS[:3], [LORA]),
    "skinny/stack.cuh": (SKINNY_UNITS, [LORA, ADAPTER, IMPORTANCE]),
    "importance/statistics.cuh": (["importance/importance_cuda.cu"], [IMPORTANCE]),
    "importance/quantile.cuh": (["importance/importance_cuda.cu"], [IMPORTANCE]),
    "cuda/element.cuh": (ALL_UNITS, [IMPORTANCE, ADAPTER, LORA]),
    "cuda/reduce.cuh": (ALL_UNITS, [IMPORTANCE]),
}
SWAPS = [(" < ", " <= "), (" <= ", " < "), (" > ", " >= "), (" >= ", " > "), (" + ", " - "), (" - ", " + "), (" * ", " + "),
         (" / ", " % "), (" % ", " / "), (" >> ", " << "), (" << ", " >> "), (" & ", " | "), (" | ", " & "), (" && ", " || "),
         (" || ", " && "), (" == ", " != "), (" != ", " == "), (" += ", " = "), ("kAlongRow", "kAlongColumn"),
         ("kAlongColumn", "kAlongRow")]
NOT_CODE = re.compile(r"\s*(static constexpr int k\w+ = \d+;|//|#|\*|/\*|template|namespace|static_assert|using|struct|};|})|.*(kBlocksPerProcessor|launch_bounds)")
STATEMENT = re.compile(r"\s*(__sync|ptx::|if |for |fetch|draw|load_|multiply|copy_|add_|[\w:<>.\[\]*+ ()-]+ [+*|^]?= |\*)")


def mutants_of(name):
    """(line index, replacement) for each mutant of a file."""
    found = []
    lines = (SOURCE / name).read_text().split("\n")
    in_code = False
    for index, line in enumerate(lines):
        in_code = in_code or line.startswith("namespace")
        code = line.split("//")[0]
        if not in_code or not code.strip() or NOT_CODE.match(line):
            continue
        for old, new in SWAPS:
            for match in re.finditer(re.escape(old), code):
                found.append((index, line[:match.start()] + new + line[match.end():]))
        for match in re.finditer(r"(?<![\w.\"])(\d+)(?![\w.x\"])", code):
            value = int(match.group(1))
            for other in {value + 1, value // 2} - {value}:
                found.append((index, line[:match.start()] + str(other) + line[match.end():]))
        if STATEMENT.match(code) and code.rstrip().endswith(";") and not re.match(r"\s*(const|constexpr|static|return)", code):
            found.append((index, re.match(r"\s*", code).group(0) + ";"))
    return found


class Build:
    """Commands of a build folder, changed to use a mutant."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder).resolve()
        self.compile = {}
        for entry in json.loads((self.folder / "compile_commands.json").read_text()):
            if "prunepeft_emulated_cuda.dir" in entry["output"]:
                name = str(pathlib.Path(entry["file"]).resolve().relative_to(SOURCE))
                self.compile[name] = shlex.split(entry["command"])
        self.link = {}
        for test in (LORA, ADAPTER, IMPORTANCE):
            text = subprocess.run(["ninja", "-t", "commands", test], cwd=self.folder, capture_output=True, text=True, check=True).stdout
            self.link[test] = text.strip().split("\n")[-1]

    def object(self, unit, include, target):
        command = list(self.compile[unit])
        for flag in ("-MT", "-MF", "-o"):
            if flag in command:
                at = command.index(flag)
                del command[at:at + 2]
        command = [part for part in command if part != "-MD"]
        command[1:1] = ["-I", str(include)]
        command += ["-o", str(target)]
        return subprocess.run(command, cwd=self.folder, capture_output=True).returncode == 0

    def program(self, test, objects, target):
        output = re.search(r" -o (\S+)", self.link[test]).group(0)
        command = self.link[test].replace(output, " " + " ".join(map(str, objects)) + " -o " + str(target))
        return subprocess.run(command, shell=True, cwd=self.folder, capture_output=True).returncode == 0


def run_mutant(build, limits, name, index, replacement):
    """"not compiled", "survived", or what killed it."""
    units, tests = FILES[name]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        mutated = folder / "include" / name
        mutated.parent.mkdir(parents=True)
        lines = (SOURCE / name).read_text().split("\n")
        lines[index] = replacement
        mutated.write_text("\n".join(lines))
        objects = []
        for number, unit in enumerate(units):
            objects.append(folder / f"{number}.o")
            if not build.object(unit, folder / "include", objects[-1]):
                return "not compiled"
        for test in tests:
            if not build.program(test, objects, folder / test):
                return "not compiled"
            try:
                result = subprocess.run([str(folder / test)], capture_output=True, text=True, timeout=limits[test],
                                        env={**os.environ, "PRUNEPEFT_STOP_AT_FAILURE": "1"})
            except subprocess.TimeoutExpired:
                return "timeout"
            if result.returncode < 0:
                return "crash"
            if result.returncode != 0:
                return "emulator" if " [block " in result.stdout or "deadlock" in result.stdout else "values"
    return "survived"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--file", help="only this file, skinny/down.cuh say")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    build = Build(options.build)
    limits = {}
    for test in (LORA, ADAPTER, IMPORTANCE):
        start = time.time()
        subprocess.run([str(build.folder / "test/cuda" / test)], capture_output=True, check=True)
        limits[test] = 60 + 4 * (time.time() - start)
    mutants = [(name, *mutant) for name in FILES if options.file in (None, name) for mutant in mutants_of(name)]
    random.Random(options.seed).shuffle(mutants)
    picked = mutants[:options.count]
    counts = {}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runs = {pool.submit(run_mutant, build, limits, *mutant): mutant for mutant in picked}
        for run in concurrent.futures.as_completed(runs):
            name, index, replacement = runs[run]
            result = run.result()
            counts[result] = counts.get(result, 0) + 1
            print(f"{sum(counts.values())} of {len(picked)}: {counts}", file=sys.stderr)
            if result == "survived":
                old = (SOURCE / name).read_text().split("\n")[index]
                print(f"survived {name}:{index + 1}\n    {old.strip()}\n    {replacement.strip()}", flush=True)
    compiled = sum(counts.values()) - counts.get("not compiled", 0)
    killed = compiled - counts.get("survived", 0)
    print(f"{len(mutants)} possible, {len(picked)} made: {counts}")
    print(f"{killed} of {compiled} compiled mutants killed, {100 * killed / compiled:.1f} %")
    return 0 if killed >= LEAST_KILLED * compiled else 1


if __name__ == "__main__":
    sys.exit(main())
