#!/usr/bin/env bash
# Builds libprunepeft: build.sh SOURCE_DIR BUILD_DIR CUDA(AUTO|ON|OFF) [SKIP_TESTS]. Names a missing tool and what to install.
set -euo pipefail
source_dir=$1 build_dir=$2 cuda=$3 skip_tests=${4:-}

need() { # program, package
  command -v "$1" >/dev/null 2>&1 || { echo "prunepeft: '$1' was not found; install it ($2)" >&2; exit 1; }
}
need cmake "CMake 3.24 or newer: apt-get install cmake"
need "${CXX:-c++}" "a C++17 compiler: apt-get install g++"
command -v ninja >/dev/null 2>&1 || command -v make >/dev/null 2>&1 ||
  { echo "prunepeft: neither 'ninja' nor 'make' was found; install one (apt-get install ninja-build)" >&2; exit 1; }

generator=()
command -v ninja >/dev/null 2>&1 && generator=(-G Ninja)
tests=ON
[ "$skip_tests" = true ] && tests=OFF
mkdir -p "$build_dir"
cmake -S "$source_dir" -B "$build_dir" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release \
  -DPRUNEPEFT_CUDA="$cuda" -DPRUNEPEFT_BUILD_TESTS="$tests" >"$build_dir.log" 2>&1 ||
  { cat "$build_dir.log" >&2; exit 1; }
sed -n 's/^-- \(CUDA left out\)/prunepeft: \1/p' "$build_dir.log"
cmake --build "$build_dir" --parallel "$(nproc)"
