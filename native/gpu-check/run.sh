#!/bin/sh
# Builds the library for the GPUs of this machine, runs its CUDA tests on the first of them, and times its kernels beside the
# frozen linear of cuBLAS and, where python3 has torch, PyTorch's LoRA. Needs nvcc 12.4 or newer (CUDACXX, CUDA_HOME, PATH, the
# packages of python3, /usr/local/cuda: the first that has it), CMake 3.24 or newer, Ninja or make, and a C++ compiler; nothing is
# downloaded.
#
#   native/gpu-check/run.sh [results folder [build folder]]      default: ./gpu-check-results ./gpu-check-results-build
#
# Leaves table.txt, table.json, tests.txt and, where Nsight Compute may count, counters.csv in the results folder. Exit code 0:
# all tests passed; 1: some failed, or were not done within the 90 seconds of a test (PRUNEPEFT_TEST_SECONDS), or the timings
# did not end; 2: none failed, and some, or the timings, were left out for want of time. It ends within 480 seconds, or those of
# PRUNEPEFT_SECONDS; the table names what was left out for want of time.
set -u
here=$(cd "$(dirname "$0")" && pwd)
folder() {  # folder <path>: makes it, and prints its whole path
  mkdir -p "$1" && cd "$1" && pwd
}
out=$(folder "${1:-gpu-check-results}") && build=$(folder "${2:-$out-build}") || exit 1
end=$(($(date +%s) + ${PRUNEPEFT_SECONDS:-480}))

# Of nvidia-cuda-nvcc, nvidia-cuda-runtime, nvidia-cuda-crt, nvidia-cuda-cccl and nvidia-nvvm, where pip has them.
package=$(python3 -c 'import glob, sys
print(*[file for path in sys.path if path for file in sorted(glob.glob(path + "/nvidia/cu*/bin/nvcc"))][:1])' 2> /dev/null)
for nvcc in "${CUDACXX:-}" "${CUDA_HOME:+$CUDA_HOME/bin/nvcc}" nvcc "$package" /usr/local/cuda/bin/nvcc; do
  if [ -n "$nvcc" ] && command -v "$nvcc" > /dev/null; then
    CUDACXX=$(command -v "$nvcc")
    export CUDACXX
    break
  fi
done

# Libraries that may be cuBLASLt: the toolkit's, those that the loader finds, and those in Python's packages.
cublas=
for library in "$(dirname "$(readlink -f "${CUDACXX:-nvcc}")")"/../lib64/libcublasLt.so.* /usr/local/cuda/lib64/libcublasLt.so.*; do
  if [ -e "$library" ]; then cublas=$cublas$library:; fi
done
PRUNEPEFT_CUBLASLT=${PRUNEPEFT_CUBLASLT:+$PRUNEPEFT_CUBLASLT:}${cublas}libcublasLt.so.13:libcublasLt.so.12:libcublasLt.so:$(python3 -c 'import glob, sys
print(":".join(file for path in sys.path if path for file in sorted(glob.glob(path + "/nvidia/*/lib/libcublasLt.so.*"))))' \
  2> /dev/null)
export PRUNEPEFT_CUBLASLT

time_left() {  # time_left [most]: seconds that a step may take, at least 0
  seconds=$((end - $(date +%s)))
  if [ $# -eq 1 ] && [ "$seconds" -gt "$1" ]; then seconds=$1; fi
  if [ "$seconds" -lt 0 ]; then seconds=0; fi
  echo "$seconds"
}

within() {  # within <seconds> <command...>: exit code 124 if it was not done
  seconds=$1
  shift
  if [ "$seconds" -eq 0 ]; then return 124; fi
  timeout -k 10 "$seconds" "$@"
  code=$?
  if [ $code -eq 137 ]; then code=124; fi  # it had to be killed
  return $code
}

build_step() {  # build_step <log> <command...>
  log=$1
  shift
  within "$(time_left)" "$@" > "$log" 2>&1
  code=$?
  if [ $code -eq 124 ]; then echo "the build took all of the time; a second run goes on where it was" >&2; fi
  if [ $code -ne 0 ]; then
    tail -40 "$log"
    if [ -z "${CUDACXX:-}" ]; then
      echo "no nvcc was found: install the CUDA toolkit or pip's nvidia-cuda-nvcc, or name nvcc in CUDACXX" >&2
    fi
    exit 1
  fi
}

# Code for this machine's GPUs alone, where the driver says what they are and nvcc knows them: a build for all takes several
# times as long.
architectures=
known=$("${CUDACXX:-nvcc}" --list-gpu-code 2> /dev/null)
for capability in $(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2> /dev/null | tr -d . | grep -x '[0-9][0-9]*' |
  sort -u); do
  if [ "$capability" -ge 80 ] && echo "$known" | grep -qx "sm_$capability"; then
    architectures="$architectures${architectures:+;}$capability"
  else
    architectures=
    break
  fi
done
# A build folder keeps the generator that it was begun with.
generator=
if [ ! -e "$build/CMakeCache.txt" ]; then
  if command -v ninja > /dev/null; then
    generator="-GNinja"
  elif command -v make > /dev/null; then
    generator="-GUnix Makefiles"
  else
    echo "neither ninja nor make is here: install one of them" >&2
    exit 1
  fi
fi
build_step "$build/configure.txt" cmake ${generator:+"$generator"} -S "$here/.." -B "$build" -DCMAKE_BUILD_TYPE=Release -DPRUNEPEFT_CUDA=ON \
  -DPRUNEPEFT_GPU_CHECK=ON -DPRUNEPEFT_BUILD_TESTS=OFF "-DPRUNEPEFT_CUDA_ONLY=$architectures"
build_step "$build/build.txt" cmake --build "$build" --parallel "$(nproc)" --target gpu_check_all

failed=0
unfinished=0
: > "$out/tests.txt"
: > "$out/table.txt"
rm -f "$out/table.json" "$out/table.json.new" "$out/counters.csv"
say() {
  echo "$@" | tee -a "$out/table.txt"
}

test_seconds=${PRUNEPEFT_TEST_SECONDS:-90}  # most of them are references on the host
run_test() {  # run_test <name> <command...>: passed, failed, hanging (it had all its seconds) or unfinished (it had not) in $result
  limit=$(time_left "$test_seconds")
  name=$1
  shift
  within "$limit" "$@" > "$out/last.txt" 2>&1
  code=$?
  case $code in
    0)
      result=passed
      say "$name: passed"
      ;;
    124)
      if [ "$limit" -eq 0 ]; then
        result=unfinished
        say "$name: left out, no time"
      elif [ "$limit" -lt "$test_seconds" ]; then
        result=unfinished
        say "$name: left out, not done in the $limit seconds that were left"
      else
        result=hanging
        say "$name: not done in $limit seconds"
      fi
      ;;
    *)
      result=failed
      say "$name: FAILED"
      tail -15 "$out/last.txt"
      ;;
  esac
  { echo "== $name"; cat "$out/last.txt"; } >> "$out/tests.txt"
}

count_result() {  # of a test that decides the exit code
  case $result in
    failed | hanging) failed=1 ;;
    unfinished) unfinished=1 ;;
  esac
}

if ! "$build/gpu-check/gpu_check" device; then exit 1; fi
queried=name,driver_version,clocks.max.sm,clocks.max.mem,power.limit
if facts=$(nvidia-smi --query-gpu=$queried --format=csv,noheader 2> /dev/null); then say "$queried: $facts"; fi
for test in $(cat "$build/gpu-check/tests.txt"); do
  run_test "$test" "$build/gpu-check/${test}_device"
  count_result
  if [ "$test" = linear_cuda ] && { [ $result = failed ] || [ $result = hanging ]; }; then
    # A kernel that does not end would take all that follows with it. First its form that makes S is left out, then its
    # clusters, then all of it. A test that there was no time for says nothing of the kernels.
    PRUNEPEFT_WITHOUT_S=1
    export PRUNEPEFT_WITHOUT_S
    run_test "$test without S in the product" "$build/gpu-check/${test}_device"
    if [ $result = passed ]; then
      say "what follows leaves out S in the product of the fused linear by warpgroups"
      continue
    fi
    PRUNEPEFT_WITHOUT_CLUSTERS=1
    export PRUNEPEFT_WITHOUT_CLUSTERS
    run_test "$test without clusters" "$build/gpu-check/${test}_device"
    if [ $result = passed ]; then
      say "what follows leaves out the clusters of the fused linear by warpgroups"
    else
      say "what follows leaves out the fused linear by warpgroups"
      PRUNEPEFT_WITHOUT_WARPGROUPS=1
      export PRUNEPEFT_WITHOUT_WARPGROUPS
    fi
  fi
done
run_test "graph capture and replay" "$build/gpu-check/gpu_check" graph
count_result
run_test "paths of a LoRA linear" "$build/gpu-check/gpu_check" paths
count_result

# The timings stop by themselves; the limit is for a device that no longer answers.
seconds=$(time_left 180)
timing_seconds=$((seconds > 30 ? seconds - 30 : 0))
limit=$(time_left 220)
within "$limit" "$build/gpu-check/gpu_check" time "$out/table.json" "$timing_seconds" > "$out/last.txt" 2>&1
case $? in
  0) ;;
  124)
    if [ "$timing_seconds" -gt 0 ]; then
      echo "timings: not done in $limit seconds, though they were to stop after $timing_seconds" >> "$out/last.txt"
      failed=1
    else
      echo "timings: left out, not done in time" >> "$out/last.txt"
      unfinished=1
    fi
    ;;
  *) echo "timings: FAILED" >> "$out/last.txt" && failed=1 ;;
esac
tee -a "$out/table.txt" < "$out/last.txt"

# PyTorch's LoRA in the same table, where there is a torch. It compiles at the first call, so it too stops by itself.
seconds=$(time_left 90)
within "$(time_left 120)" python3 "$here/torch_baseline.py" "$out/table.json" "$((seconds > 30 ? seconds - 30 : 0))" > "$out/last.txt" 2>&1
case $? in
  0) ;;
  3) ;;  # there is none, as it says itself
  124) echo "PyTorch: left out, not done in time" >> "$out/last.txt" ;;
  *) echo "PyTorch: left out, it failed" >> "$out/last.txt" ;;
esac
tee -a "$out/table.txt" < "$out/last.txt"

# What kernels move and how busy they keep the tensor cores, as the device counts it: where Nsight Compute is, and may count.
memory=gpu__time_duration.sum,dram__bytes_read.sum,dram__bytes_write.sum
ncu=$(command -v ncu || ls /usr/local/cuda/bin/ncu 2> /dev/null)
count() {  # count <metrics>
  within "$(time_left 120)" "$ncu" --csv --metrics "$1" "$build/gpu-check/gpu_check" once > "$out/last.txt" 2>&1 || return 1
  grep '^"' "$out/last.txt" > "$out/counters.csv"
}
if [ -z "$ncu" ]; then
  say "counters of each kernel: left out, ncu is not here"
elif count $memory,sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active,smsp__issue_active.avg.pct_of_peak_sustained_active ||
  count $memory; then
  say "counters of each kernel: counters.csv"
else
  rm -f "$out/counters.csv"
  say "counters of each kernel: left out, ncu says: $(grep -m 1 '==ERROR==' "$out/last.txt" || echo nothing in time)"
fi

# The sanitizer slows kernels down many times, so each tool gets one program, and what time is left. First without kernels by
# warpgroups, of which some of its releases report shared memory that is right: what it finds with them is shown and decides nothing.
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2> /dev/null)
sanitize() {  # sanitize <tool> <what is added to its name>
  level=
  if [ "$1" = racecheck ]; then level="--racecheck-detect-level error"; fi
  # shellcheck disable=SC2086 # an option and its value, or nothing
  run_test "compute-sanitizer $1$2" "$sanitizer" --tool "$1" $level --error-exitcode 1 "$build/gpu-check/gpu_check" graph
}
tools="memcheck racecheck synccheck initcheck"
if [ -z "$sanitizer" ]; then
  say "compute-sanitizer: left out, the program is not here"
else
  say "compute-sanitizer: $("$sanitizer" --version 2> /dev/null | tail -1)"
  by_warpgroups=${PRUNEPEFT_WITHOUT_WARPGROUPS+left out}
  export PRUNEPEFT_WITHOUT_WARPGROUPS=1
  for tool in $tools; do
    sanitize "$tool" ""
    if [ $result = failed ]; then failed=1; fi
  done
  unset PRUNEPEFT_WITHOUT_WARPGROUPS
  if [ -z "$by_warpgroups" ]; then
    for tool in $tools; do sanitize "$tool" ", by warpgroups (decides nothing)"; done
  else
    say "compute-sanitizer, by warpgroups: left out, as they are"
  fi
fi

"$build/gpu-check/gpu_check" goals "$out/table.json" | tee -a "$out/table.txt"
rm -f "$out/last.txt" "$out/table.json.new"
if [ $failed -eq 0 ] && [ $unfinished -ne 0 ]; then exit 2; fi
exit $failed
