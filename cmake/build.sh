#!/usr/bin/env bash
# Builds libprunepeft: build.sh SOURCE_DIR BUILD_DIR CUDA(AUTO|ON|OFF) [SKIP_TESTS [WERROR(ON|OFF) [JOBS]]], JOBS files at once (as many
# as there are processors). Names a missing tool and what to install. The compiler is CXX, with its arguments; BUILD_DIR/c++ calls it, for others who compile beside the library.
set -euo pipefail
source_dir=$1 build_dir=$2 cuda=$3 skip_tests=${4:-} werror=${5:-OFF} jobs=${6:-$(nproc)}
source "$(dirname "${BASH_SOURCE[0]}")/folder.sh"

need() { # program, package
  command -v "$1" >/dev/null 2>&1 || { echo "prunepeft: '$1' was not found; install it ($2)" >&2; exit 1; }
}
export CXX="${CXX:-c++}" # for CMake too, which would look beyond PATH
compiler_words
need cmake "CMake 3.24 or newer: apt-get install cmake"
need "${compiler[0]}" "a C++17 compiler: apt-get install g++; CXX names another, such as clang++"
generator=Ninja
if ! command -v ninja >/dev/null 2>&1; then
  generator='Unix Makefiles'
  command -v make >/dev/null 2>&1 ||
    { echo "prunepeft: neither 'ninja' nor 'make' was found; install one (apt-get install ninja-build)" >&2; exit 1; }
fi

fresh=()
if made_otherwise "$source_dir" "$build_dir" "$generator"; then fresh=(--fresh); fi
tests=ON
[ "$skip_tests" = true ] && tests=OFF
mkdir -p "$build_dir"
cmake "${fresh[@]}" -G "$generator" -S "$source_dir" -B "$build_dir" -DCMAKE_BUILD_TYPE=Release -DPRUNEPEFT_CUDA="$cuda" \
  -DPRUNEPEFT_BUILD_TESTS="$tests" -DPRUNEPEFT_WERROR="$werror" >"$build_dir.log" 2>&1 ||
  { cat "$build_dir.log" >&2; exit 1; }
sed -nE 's/^-- (CUDA left out|Warnings of)/prunepeft: \1/p' "$build_dir.log"
printf '#!/bin/sh\nexec%s "$@"\n' "$(printf ' %q' "${compiler[@]}")" >"$build_dir/c++"
chmod +x "$build_dir/c++"
cmake --build "$build_dir" --parallel "$jobs"
