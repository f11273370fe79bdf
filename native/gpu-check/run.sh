#!/bin/sh
# Builds the library for the GPUs of this machine, runs its CUDA tests on the first of them, and times its kernels beside the
# frozen linear of cuBLAS. Needs nvcc 12.4 or newer, CMake 3.24 or newer and a C++ compiler; nothing is downloaded.
#
#   native/gpu-check/run.sh [output folder]        default: ./gpu-check-results
#
# Leaves table.txt, table.json and tests.txt in the output folder. Exit code 0: all tests passed.
# SPDX-License-Identifier: Apache-2.0
set -u
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-gpu-check-results}
mkdir -p "$out" || exit 1
out=$(cd "$out" && pwd)
build=$out/build

for nvcc in "${CUDACXX:-}" nvcc /usr/local/cuda/bin/nvcc; do
  if [ -n "$nvcc" ] && command -v "$nvcc" > /dev/null; then
    CUDACXX=$(command -v "$nvcc")
    export CUDACXX
    break
  fi
done

cmake -S "$here/.." -B "$build" -DCMAKE_BUILD_TYPE=Release -DPRUNEPEFT_CUDA=ON -DPRUNEPEFT_GPU_CHECK=ON \
  -DPRUNEPEFT_BUILD_TESTS=OFF > "$out/configure.txt" 2>&1 || { tail -20 "$out/configure.txt"; exit 1; }
cmake --build "$build" --parallel "$(nproc)" > "$out/build.txt" 2>&1 || { tail -40 "$out/build.txt"; exit 1; }

failed=0
: > "$out/tests.txt"
run_test() {  # run_test <name> <command...>
  name=$1
  shift
  printf '%-34s ' "$name"
  if "$@" > "$out/last.txt" 2>&1; then echo passed; else
    echo FAILED
    tail -15 "$out/last.txt"
    failed=1
  fi
  { echo "== $name"; cat "$out/last.txt"; } >> "$out/tests.txt"
}

if ! "$build/gpu-check/gpu_check" device; then exit 1; fi
for test in importance_cuda lora_cuda linear_cuda adapter_cuda; do
  run_test "$test" timeout 120 "$build/gpu-check/${test}_device"
done
run_test graph_capture timeout 60 "$build/gpu-check/gpu_check" graph

# The sanitizer slows kernels down many times, so each tool gets one program and a limit.
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2> /dev/null)
if [ -n "$sanitizer" ]; then
  for tool in memcheck racecheck synccheck initcheck; do
    run_test "compute-sanitizer $tool" timeout 60 "$sanitizer" --tool $tool --error-exitcode 1 "$build/gpu-check/gpu_check" graph
  done
else
  echo "compute-sanitizer is not here: left out"
fi

timeout 180 "$build/gpu-check/gpu_check" time "$out/table.json" | tee "$out/table.txt"
rm -f "$out/last.txt"
exit $failed
