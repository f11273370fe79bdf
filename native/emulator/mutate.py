#!/usr/bin/env python3
"""Breaks random lines of the kernels, one at a time, and counts the mutants that the emulated tests do not notice.

    native/emulator/mutate.py BUILD [--count 200] [--seed 1] [--file NAME] [--jobs 2] [--journal FILE]

BUILD is a build folder (Ninja) of native/ with the emulated tests built; it is only read. A mutant costs the compilation of the
sources that include its file, and a link and a run of the tests that cover it, up to the first failure. Results go to the journal
(BUILD/mutants.jsonl) one by one, and what it knows is not run again, so that a run that was stopped goes on where it was. Mutants
that don't compile are not counted, nor are those that the compiler makes the same code of, which no test could notice: they are reported
apart. Prints each survivor; docs/testing.md says why the known ones live. Most tile sizes are left alone: with another tiling a kernel
takes another path to the same result. Exit code 0: at least 90 % of the mutants that were counted were killed.

"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import random
import re
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import threading

LEAST_KILLED = 0.9
SOURCE = pathlib.Path(__file__).resolve().parent.parent / "src"
LORA, ADAPTER, IMPORTANCE, LINEAR, QUANTIZED, DECODER = (
    f"{name}_cuda_emulated" for name in ("lora", "adapter", "importance", "linear", "quantized", "decoder"))
# Source with kernels or launchers: the tests that run it, the quickest first.
UNITS = {
    "linear/cuda/linear_cuda.cu": [LINEAR],
    "linear/cuda/linear_warpgroup.cu": [LINEAR],
    "linear/cuda/linear_with_s.cu": [LINEAR],
    "linear/cuda/linear_with_ds.cu": [LINEAR],
    "linear/cuda/linear_codes.cu": [QUANTIZED],
    "linear/cuda/decode.cu": [QUANTIZED],
    "linear/cuda/narrow_copies.cu": [LINEAR],
    "linear/cuda/activate.cu": [ADAPTER],
    "linear/cuda/down.cu": [ADAPTER, LORA],
    "linear/cuda/grad.cu": [ADAPTER, LORA],
    "linear/cuda/up.cu": [IMPORTANCE, ADAPTER, LORA],
    "importance/cuda/importance_cuda.cu": [IMPORTANCE],
    "importance/cuda/magnitude_cuda.cu": [IMPORTANCE],
    "linear/cuda/lora_cuda.cu": [LORA],
    "linear/cuda/multi_lora_cuda.cu": [LORA],
    "adapter/cuda/adapter_cuda.cu": [ADAPTER],
    "decoder/cuda/decoder_cuda.cu": [DECODER],
    "cuda/branch.cu": [LINEAR],
    "linear/linear.cpp": [LINEAR],
}
# Parts of a test that are run first for a file, and what else there is only if they pass.
FIRST = {
    "linear/cuda/linear_with_s.cuh": (LINEAR, ["s"]),
    "linear/cuda/linear_with_s.cu": (LINEAR, ["s"]),
    "linear/cuda/linear_with_ds.cuh": (LINEAR, ["ds"]),
    "linear/cuda/linear_with_ds.cu": (LINEAR, ["ds"]),
    "linear/cuda/linear_warpgroup.cuh": (LINEAR, ["warpgroups"]),
    "linear/cuda/linear_warpgroup.cu": (LINEAR, ["streams", "warpgroups"]),
    "linear/cuda/linear_cuda.cu": (LINEAR, ["launches", "streams"]),
    "linear/linear.cpp": (LINEAR, ["streams"]),
    "cuda/branch.cu": (LINEAR, ["streams"]),
}
TESTS = [DECODER, QUANTIZED, LINEAR, ADAPTER, IMPORTANCE, LORA]
# What every kernel file includes, and launchers: no kernels.
NOT_KERNELS = {"cuda/gpu.cuh", "cuda/ptx.cuh", "linear/cuda/launch.cuh"}
SWAPS = [(" < ", " <= "), (" <= ", " < "), (" > ", " >= "), (" >= ", " > "), (" + ", " - "), (" - ", " + "), (" * ", " + "),
         (" / ", " % "), (" % ", " / "), (" >> ", " << "), (" << ", " >> "), (" & ", " | "), (" | ", " & "), (" && ", " || "),
         (" || ", " && "), (" == ", " != "), (" != ", " == "), (" += ", " = "), ("kAlongRow", "kAlongColumn"),
         ("kAlongColumn", "kAlongRow")]
NOT_CODE = re.compile(r"\s*((static )?constexpr int(64_t)? k\w+ = \d+;|//|#|\*|/\*|template|namespace|static_assert|using|struct|};|})"
                      r"|.*(kBlocksPerProcessor|launch_bounds)")
STATEMENT = re.compile(r"\s*(__sync|ptx::|if |for |fetch|draw|load_|multiply|copy_|add_|[\w:<>.\[\]*+ ()-]+ [+*|^]?= |\*)")


def includes(path):
    """Names of the source's own headers that a file includes, directly or not."""
    found = set()
    for name in re.findall(r'#include "((?:\w+/)+\w+\.(?:h|cuh))"', path.read_text()):
        if (SOURCE / name).exists():
            found |= {name} | includes(SOURCE / name)
    return found


def kernel_files(launcher=None):
    """{file with kernel code: the sources that include it}; and a source that only launches, if it is named."""
    files = {launcher: [launcher]} if launcher in UNITS else {}
    for unit in UNITS:
        for name in sorted(name for name in includes(SOURCE / unit) - NOT_KERNELS if name.endswith(".cuh")):
            files.setdefault(name, []).append(unit)
        if unit != launcher and "__global__" in (SOURCE / unit).read_text():
            files.setdefault(unit, []).append(unit)
    return files


def tests_of(units):
    return [test for test in TESTS if any(test in UNITS[unit] for unit in units)]


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
    return list(dict.fromkeys(found))


class Build:
    """Commands of a build folder, changed to use a mutant."""

    def __init__(self, folder, units):
        """`units`: the sources that mutants will be made of."""
        self.folder = pathlib.Path(folder).resolve()
        self.compile = {}
        for entry in json.loads((self.folder / "compile_commands.json").read_text()):
            if re.search(r"prunepeft_emulated(_cuda)?\.dir", entry["output"]):
                name = str(pathlib.Path(entry["file"]).resolve().relative_to(SOURCE))
                self.compile[name] = shlex.split(entry["command"])
        self.link = {}
        self.seconds = {}  # of processor, that a test takes
        for test in tests_of(units):
            text = subprocess.run(["ninja", "-t", "commands", test], cwd=self.folder, capture_output=True, text=True, check=True).stdout
            self.link[test] = text.strip().split("\n")[-1]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([str(self.folder / "test/cuda" / test)], capture_output=True, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            self.seconds[test] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch)
            self.sound = {unit: self.object(unit, folder / "include", folder / "sound.o") for unit in units}

    def object(self, unit, include, target):
        """Compiles a source, whose headers are looked for in `include` first; a hash of the code, or None."""
        command = list(self.compile[unit])
        for flag in ("-MT", "-MF", "-o"):
            if flag in command:
                at = command.index(flag)
                del command[at:at + 2]
        source = include / unit if (include / unit).exists() else SOURCE / unit
        command = [str(source) if part.endswith((".cu", ".cpp")) else part for part in command if part != "-MD"]
        # Names of files are in the code.
        command[1:1] = ["-I", str(include), f"-ffile-prefix-map={include}=.", f"-ffile-prefix-map={SOURCE}=."]
        command += ["-o", str(target)]
        if subprocess.run(command, cwd=self.folder, capture_output=True).returncode != 0:
            return None
        subprocess.run(["objcopy", "--strip-debug", str(target), str(target) + ".code"], check=True)
        return hashlib.sha256(pathlib.Path(str(target) + ".code").read_bytes()).hexdigest()

    def program(self, test, objects, target):
        output = re.search(r" -o (\S+)", self.link[test]).group(0)
        command = self.link[test].replace(output, " " + " ".join(map(str, objects)) + " -o " + str(target))
        return subprocess.run(command, shell=True, cwd=self.folder, capture_output=True).returncode == 0

    def run(self, test, program, parts=()):
        """None, or how the test failed. Its time is limited in seconds of processor: the machine may be busy."""
        limit = int(20 + 4 * self.seconds[test])
        result = subprocess.run([str(program), *parts], capture_output=True, text=True, env={**os.environ, "PRUNEPEFT_STOP_AT_FAILURE": "1"},
                                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5)))
        if result.returncode == 0:
            return None
        if result.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            return "timeout"
        if result.returncode < 0:
            return "crash"
        return "emulator" if " [block " in result.stdout or "deadlock" in result.stdout else "values"


def mutated_text(name, index, replacement):
    lines = (SOURCE / name).read_text().split("\n")
    lines[index] = replacement
    return "\n".join(lines)


def run_mutant(build, units, name, index, replacement):
    """"not compiled", "same code" (the compiler makes the same of it), "survived", or what killed it."""
    tests = tests_of(units)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        mutated = folder / "include" / name
        mutated.parent.mkdir(parents=True)
        mutated.write_text(mutated_text(name, index, replacement))
        objects, same = [], True
        for number, unit in enumerate(units):
            objects.append(folder / f"{number}.o")
            code = build.object(unit, folder / "include", objects[-1])
            if code is None:
                return "not compiled"
            same = same and code == build.sound[unit]
        if same:
            return "same code"
        for test in tests:
            if not build.program(test, objects, folder / test):
                return "not compiled"
            first, parts = FIRST.get(name, (None, []))
            failure = build.run(test, folder / test, parts) if test == first else None
            failure = failure or build.run(test, folder / test)
            if failure is not None:
                return failure
    return "survived"


class Journal:
    """What earlier runs found, by the mutant's file name and its whole text."""

    def __init__(self, path):
        self.path, self.lock, self.results = path, threading.Lock(), {}
        if path.exists():
            for line in path.read_text().splitlines():
                entry = json.loads(line)
                self.results[entry["key"]] = entry["result"]

    @staticmethod
    def key(name, index, replacement):
        return hashlib.sha256((name + "\n" + mutated_text(name, index, replacement)).encode()).hexdigest()

    def known(self, mutant):
        return self.results.get(self.key(*mutant))

    def add(self, mutant, result):
        name, index, replacement = mutant
        old = (SOURCE / name).read_text().split("\n")[index]
        entry = {"key": self.key(*mutant), "place": f"{name}:{index + 1}", "old": old.strip(), "new": replacement.strip(), "result": result}
        with self.lock, self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--file", help="only this file, linear/cuda/down.cuh say, or a source that only launches")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--journal", type=pathlib.Path)
    options = parser.parse_args()
    journal = Journal(options.journal or pathlib.Path(options.build) / "mutants.jsonl")
    files = kernel_files(options.file)
    mutants = [(name, *mutant) for name in sorted(files) if options.file in (None, name) for mutant in mutants_of(name)]
    random.Random(options.seed).shuffle(mutants)
    picked = mutants[:options.count]
    build = Build(options.build, sorted({unit for name, *_ in picked for unit in files[name]}))
    counts = {}

    def judge(mutant):
        result = journal.known(mutant)
        if result is None:
            result = run_mutant(build, files[mutant[0]], *mutant)
            journal.add(mutant, result)
        return result

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runs = {pool.submit(judge, mutant): mutant for mutant in picked}
        for run in concurrent.futures.as_completed(runs):
            name, index, replacement = runs[run]
            result = run.result()
            counts[result] = counts.get(result, 0) + 1
            print(f"{sum(counts.values())} of {len(picked)}: {counts}", file=sys.stderr)
            if result in ("survived", "same code"):
                old = (SOURCE / name).read_text().split("\n")[index]
                print(f"{result} {name}:{index + 1}\n    {old.strip()}\n    {replacement.strip()}", flush=True)
    same = counts.get("same code", 0)
    counted = sum(counts.values()) - counts.get("not compiled", 0) - same
    killed = counted - counts.get("survived", 0)
    print(f"{len(mutants)} possible, {len(picked)} made: {counts}")
    print(f"{killed} of {counted} compiled mutants of another code killed, {100 * killed / max(counted, 1):.1f} %; {same} of the same code")
    return 0 if killed >= LEAST_KILLED * counted else 1


if __name__ == "__main__":
    sys.exit(main())
