#!/bin/sh
# CudaResources.cmake with a stand-in for nvcc: warnings are errors, and the assembler's notes, only if it is STRICT; and a file of
# several architectures is compared in those that are built, as far as it has them.
# And where a python3 is named: without a kernel cuda_loops.py writes no table.
#
#   compile_gate.sh <cmake> <CudaResources.cmake> <scratch folder> [<python3> <cuda_loops.py>]
set -eu
rm -rf "$3"
mkdir -p "$3/bin" "$3/source"
scratch=$(cd "$3" && pwd)
cat > "$scratch/bin/nvcc" << 'END'
#!/bin/sh
case $* in *-Werror*) if [ -n "${WARNS:-}" ]; then echo "error: a warning"; exit 1; fi ;; esac
case $* in *sm_90a*) registers=40 ;; *) registers=32 ;; esac
if [ -n "${NOTES:-}" ]; then echo "ptxas info    : (C7510) Potential Performance Loss: wgmma is serialized"; fi
echo "ptxas info    : Function properties for _ZN9prunepeft4cuda4downIfEEvv"
echo "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads"
echo "ptxas info    : Used ${OTHER:-$registers} registers, used 0 barriers"
END
chmod +x "$scratch/bin/nvcc"
touch "$scratch/source/down.cu"
printf 'nvcc 1.2\ndown float:  sm_80 32/0/0  sm_90a 40/0/0\nup float:  sm_80 16/0/0\n' > "$scratch/kept.txt"

check() {  # check <expected: passes, fails> <architectures> <what is tested> [arguments of CMake...]
  expected=$1 architectures=$2 what=$3
  shift 3
  seen=passes
  "$cmake" -DNVCC="$scratch/bin/nvcc" -DVERSION=1.2 -DROOT="$scratch/source" -DSOURCES=down.cu -DARCHITECTURES="$architectures" \
    -DKEPT="$scratch/kept.txt" -DOUTPUT="$scratch/output.txt" "$@" -P "$script" > "$scratch/log.txt" 2>&1 || seen=fails
  if [ $seen != "$expected" ]; then
    cat "$scratch/log.txt"
    echo "FAILED: $what: it $seen"
    exit 1
  fi
}
said() {  # said <text>: the last check has it in its output
  if ! grep -qF -e "$1" "$scratch/log.txt"; then
    cat "$scratch/log.txt"
    echo "FAILED: $what: not said: $1"
    exit 1
  fi
}
cmake=$1 script=$2
check passes 90a "one architecture of two" -DSTRICT=ON
OTHER=48 check fails 90a "other registers in the one architecture" -DSTRICT=ON
check fails 80 "a kernel of sm_80 that is not there" -DSTRICT=ON
check passes 89 "an architecture that is not in the file" -DSTRICT=ON
said "cuda-resources.txt has nothing of sm_89: not compared"
check passes 89,90a,120 "two architectures that are not in the file, and one that is" -DSTRICT=ON
said "cuda-resources.txt has nothing of sm_89, sm_120: not compared"
OTHER=48 check fails 89,90a "other registers in the one that is in the file" -DSTRICT=ON
WARNS=1 check passes 90a "a warning" -DSTRICT=OFF
WARNS=1 check fails 90a "a warning, as an error" -DSTRICT=ON
NOTES=1 check passes 90a "a note of lost performance" -DSTRICT=OFF
said "Potential Performance Loss: wgmma"
NOTES=1 check fails 90a "a note of lost performance, as an error" -DSTRICT=ON
if [ $# -eq 5 ]; then
  mkdir "$scratch/loops"
  : > "$scratch/loops/kernels.txt"
  echo "nvcc 1.2, sm_90a" > "$scratch/loops.txt"
  echo "down float: 64" >> "$scratch/loops.txt"
  cp "$scratch/loops.txt" "$scratch/loops-before.txt"
  for update in "" --update; do
    what="loops of no kernel $update"
    # shellcheck disable=SC2086
    if "$4" "$5" "$scratch/loops" 1.2 "$scratch/loops.txt" $update > "$scratch/log.txt" 2>&1; then
      echo "FAILED: $what: it passes"
      exit 1
    fi
    said "no kernel found in "
    if ! cmp "$scratch/loops.txt" "$scratch/loops-before.txt"; then
      echo "FAILED: $what: the table is another"
      exit 1
    fi
  done
fi
echo passed
