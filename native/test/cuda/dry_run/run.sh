#!/bin/sh
# Goes through gpu-check/run.sh from its first line to its last with stand-ins for what it calls: CMake, which gives the emulated
# programs, nvcc, nvidia-smi, PyTorch, Nsight Compute and compute-sanitizer. Then once more without them, and with a test that
# fails. Then with a fused linear that fails by warpgroups, or does not end, until a part of it is left out, step by step, and with
# nvcc and cuBLASLt among Python's packages; with tests that there is no time for; with timings that do not end; and with a fault
# amid them. A device's kernels run in the emulator, so the lines are what is tested here.
#
#   dry_run/run.sh <folder of the emulated programs> <scratch folder>
set -eu
here=$(cd "$(dirname "$0")" && pwd)
PRUNEPEFT_PROGRAMS=$1
PRUNEPEFT_STAND_INS=$here
export PRUNEPEFT_PROGRAMS PRUNEPEFT_STAND_INS
unset CUDACXX CUDA_HOME
rm -rf "$2"
mkdir -p "$2/toolkit/bin" "$2/toolkit/lib64" "$2/bare"
scratch=$(cd "$2" && pwd)
PRUNEPEFT_SCRATCH=$scratch
export PRUNEPEFT_SCRATCH
# What is to end has time to, however slow the machine is.
PRUNEPEFT_TEST_SECONDS=3600
PRUNEPEFT_SECONDS=36000
export PRUNEPEFT_TEST_SECONDS PRUNEPEFT_SECONDS

expect() {  # expect <file> <text>...: each is in the file
  file=$1
  shift
  for text in "$@"; do
    if ! grep -qF -e "$text" "$file"; then
      cat "$file"
      echo "FAILED: $file lacks: $text"
      exit 1
    fi
  done
}

cp "$here/nvcc" "$scratch/toolkit/bin/nvcc"
ln -s "$PRUNEPEFT_PROGRAMS/libcublas-stand-in.so" "$scratch/toolkit/lib64/libcublasLt.so.13"
if ! env PATH="$here/bin:$scratch/toolkit/bin:$PATH" LD_LIBRARY_PATH="$PRUNEPEFT_PROGRAMS" PRUNEPEFT_DRY_SECONDS=5 \
  PYTHONPATH="$here/../torch_stand_in" PYTHONDONTWRITEBYTECODE=1 \
  sh "$here/../../../gpu-check/run.sh" "$scratch/results" "$scratch/build" > "$scratch/output.txt" 2>&1; then
  cat "$scratch/output.txt"
  echo "FAILED: run.sh ended with an error"
  exit 1
fi
expect "$scratch/build/arguments.txt" "-DPRUNEPEFT_CUDA_ONLY=90" "-DPRUNEPEFT_GPU_CHECK=ON" "CUDACXX=$scratch/toolkit/bin/nvcc"
expect "$scratch/results/table.txt" "power.limit: a stand-in" "graph_cuda: passed" "graph capture and replay: passed" \
  "paths of a LoRA linear: passed" "cuBLASLt_by $scratch/toolkit/bin/../lib64/libcublasLt.so.13" "PyTorch stand-in" \
  "counters of each kernel: counters.csv" "Version: a stand-in" "compute-sanitizer memcheck: passed" "compute-sanitizer racecheck: passed" \
  "compute-sanitizer initcheck, by warpgroups (decides nothing): passed" \
  "compute-sanitizer racecheck, by warpgroups (decides nothing): FAILED" \
  "Goals, which are for an H100"
expect "$scratch/results/counters.csv" '"dram__bytes_read.sum"'
expect "$scratch/results/tests.txt" "== graph_cuda" "== paths of a LoRA linear"
if [ "$(cd "$scratch/results" && echo *)" != "counters.csv table.json table.txt tests.txt" ]; then
  ls "$scratch/results"
  echo "FAILED: other results than the four"
  exit 1
fi

# Without them: the shell's own tools, make in place of Ninja.
for tool in cat date dirname grep ln ls mkdir nproc readlink rm sh sleep sort tail tee timeout touch tr; do
  ln -s "$(command -v $tool)" "$scratch/bare/$tool"
done
ln -s /bin/true "$scratch/bare/make"
ln -s "$here/bin/cmake" "$scratch/bare/cmake"
if env -u LD_LIBRARY_PATH PATH="$scratch/bare" PRUNEPEFT_DRY_SECONDS=0 PRUNEPEFT_DRY_FAILURE=1 \
  sh "$here/../../../gpu-check/run.sh" "$scratch/bare-results" > "$scratch/bare-output.txt" 2>&1; then
  cat "$scratch/bare-output.txt"
  echo "FAILED: run.sh ended without an error, though a test has failed"
  exit 1
fi
expect "$scratch/bare-results-build/arguments.txt" "-GUnix Makefiles"
expect "$scratch/bare-results/table.txt" "graph_cuda: FAILED" "graph capture and replay: passed" "left out, no time: copy bandwidth" \
  "PyTorch: left out" "counters of each kernel: left out" "compute-sanitizer: left out" "Goals, which are for an H100"

# A fused linear that works without S, without clusters, or not by warpgroups at all: what follows leaves out no more.
mkdir -p "$scratch/packages/nvidia/cublas/lib" "$scratch/packages/nvidia/cu13/bin"
cp "$here/nvcc" "$scratch/packages/nvidia/cu13/bin/nvcc"
ln -s "$PRUNEPEFT_PROGRAMS/libcublas-stand-in.so" "$scratch/packages/nvidia/cublas/lib/libcublasLt.so.12"
ln -s "$(python3 -c 'import sys; print(sys.executable)')" "$scratch/bare/python3"
for ladder in "S|S 1 clusters 0 warpgroups 0|leaves out S in the product" \
  "CLUSTERS|S 1 clusters 1 warpgroups 0|leaves out the clusters" \
  "WARPGROUPS|S 1 clusters 1 warpgroups 1|leaves out the fused linear by warpgroups"; do
  part=${ladder%%|*}
  said=${ladder##*|}
  left_out=${ladder#*|}
  left_out=${left_out%|*}
  results=$scratch/without-$part
  if env -u LD_LIBRARY_PATH -u PRUNEPEFT_CUBLASLT PATH="$scratch/bare" PYTHONPATH="$scratch/packages" PYTHONDONTWRITEBYTECODE=1 \
    PRUNEPEFT_DRY_SECONDS=0 PRUNEPEFT_DRY_WORKS_WITHOUT=$part \
    sh "$here/../../../gpu-check/run.sh" "$results" > "$results.txt" 2>&1; then
    cat "$results.txt"
    echo "FAILED: run.sh ended without an error, though the fused linear has failed"
    exit 1
  fi
  expect "$results-build/arguments.txt" "CUDACXX=$scratch/packages/nvidia/cu13/bin/nvcc"
  expect "$results/table.txt" "linear_cuda: FAILED" "what follows $said" "graph capture and replay: passed"
  expect "$results/tests.txt" "graph without: $left_out" "paths without: $left_out"
done
# One that does not end is told from one that fails.
results=$scratch/hanging
if env -u LD_LIBRARY_PATH PATH="$scratch/bare" PRUNEPEFT_DRY_SECONDS=0 PRUNEPEFT_DRY_WORKS_WITHOUT=S PRUNEPEFT_DRY_HANGS=1 \
  PRUNEPEFT_TEST_SECONDS=20 sh "$here/../../../gpu-check/run.sh" "$results" > "$results.txt" 2>&1; then
  cat "$results.txt"
  echo "FAILED: run.sh ended without an error, though the fused linear did not end"
  exit 1
fi
expect "$results/table.txt" "linear_cuda: not done in 20 seconds" "what follows leaves out S in the product"

# Told from both, a test that there was no time for, which says nothing of the kernels; timings that do not end, though they had time
# to; and those that had none. The clock is a file here, on which nothing else takes time.
mkdir "$scratch/clock-bin"
for stand_in in ncu compute-sanitizer; do ln -s "$here/bin/$stand_in" "$scratch/clock-bin/$stand_in"; done
for stand_in in date timeout; do ln -s "$here/$stand_in" "$scratch/clock-bin/$stand_in"; done
PRUNEPEFT_DRY_CLOCK=$scratch/clock
export PRUNEPEFT_DRY_CLOCK
by_clock() {  # by_clock <results folder> <expected exit code> <VARIABLE=value>...: run.sh with these variables
  results=$1
  expected=$2
  shift 2
  echo 0 > "$PRUNEPEFT_DRY_CLOCK"
  code=0
  env -u LD_LIBRARY_PATH PATH="$scratch/clock-bin:$scratch/bare" PRUNEPEFT_DRY_SECONDS=0 "$@" \
    sh "$here/../../../gpu-check/run.sh" "$results" > "$results.txt" 2>&1 || code=$?
  if [ "$code" -ne "$expected" ] || grep -vF "decides nothing" "$results/table.txt" | grep -qE "FAILED|what follows"; then
    cat "$results.txt"
    echo "FAILED: run.sh ended with $code in place of $expected, or took what did not end for a test that has failed"
    exit 1
  fi
}
by_clock "$scratch/slow" 2 PRUNEPEFT_DRY_SLOW=1 PRUNEPEFT_SECONDS=15
expect "$results/table.txt" "graph_cuda: left out, not done in the 15 seconds that were left" "linear_cuda: left out, no time"
by_clock "$scratch/hanging-timings" 1 PRUNEPEFT_DRY_WORKS_WITHOUT=S PRUNEPEFT_WITHOUT_S=1 PRUNEPEFT_SECONDS=480
expect "$results/table.txt" "linear_cuda: passed" "timings: not done in 220 seconds"
by_clock "$scratch/no-time-for-timings" 2 PRUNEPEFT_DRY_WORKS_WITHOUT=S PRUNEPEFT_WITHOUT_S=1 PRUNEPEFT_SECONDS=20
expect "$results/table.txt" "linear_cuda: passed" "timings: left out, not done in time"

# A fault amid the timings: what was measured before it is there, and stays when PyTorch's rows and the goals come.
table=$scratch/fault.json
if LD_LIBRARY_PATH="$PRUNEPEFT_PROGRAMS" PRUNEPEFT_STAND_IN_PRODUCTS=60 "$PRUNEPEFT_PROGRAMS/gpu_check_emulated" time "$table" 36000 \
  > "$scratch/fault.txt" 2>&1; then
  echo "FAILED: gpu_check ended without an error, though a product has failed"
  exit 1
fi
expect "$table" '"complete": false' '"call": "frozen linear forward (cuBLAS)"' '"copy_GBps": '
PYTHONPATH="$here/../torch_stand_in" PYTHONDONTWRITEBYTECODE=1 python3 "$here/../../../gpu-check/torch_baseline.py" "$table" 3600 --shrink 128 \
  > "$scratch/fault-torch.txt" 2>&1
expect "$table" '"complete": false' '"call": "frozen linear forward (cuBLAS)"' '"call": "torch forward, eager"'
"$PRUNEPEFT_PROGRAMS/gpu_check_emulated" goals "$table" > "$scratch/fault-goals.txt"
expect "$scratch/fault-goals.txt" "The timings ended before their end"

# What the loader does not find is found where pip has put it.
expect "$scratch/without-S/table.json" "\"cuBLASLt_by\": \"$scratch/packages/nvidia/cublas/lib/libcublasLt.so.12\""
echo passed
