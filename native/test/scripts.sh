#!/usr/bin/env bash
# What cmake/build.sh and native/sanitize ask of CMake, which is a script here that notes its arguments, and what they say of the compiler.
#
#   scripts.sh <scratch folder>
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
rm -rf "$1"
mkdir -p "$1/bin" "$1/few" "$1/source"
scratch=$(cd "$1" && pwd)
build=$scratch/target/native

failed() {
  echo "FAILED: $*"
  exit 1
}
program() { # path; its text from the input
  { echo '#!/usr/bin/env bash' && cat; } >"$1"
  chmod +x "$1"
}
program "$scratch/bin/cmake" <<'CMAKE'
echo "$*" >>"$NOTES"
CMAKE
program "$scratch/bin/ctest" </dev/null
# Compiles nothing; with the word "bare", or as "bare", has no sanitizers, and as "broken" makes no program.
program "$scratch/bin/c++" <<'COMPILER'
case "$(basename "$0") $*" in
  broken*) exit 1 ;;
  *bare*-fsanitize*) exit 1 ;;
esac
COMPILER
for name in ninja make ccache g++ bare broken; do cp "$scratch/bin/c++" "$scratch/bin/$name"; done
export NOTES=$scratch/notes PATH=$scratch/bin:$PATH
unset CXX

build() { # expected: "", or --fresh
  : >"$NOTES"
  "$root/cmake/build.sh" "${source_dir:-$scratch/source}" "$build" OFF true || failed "build.sh ended with $?"
  case "$(head -n 1 "$NOTES")" in
    --fresh*) [ "$1" = --fresh ] || failed "$2: the folder was begun anew" ;;
    *) [ "$1" = '' ] || failed "$2: the folder was not begun anew" ;;
  esac
}
made() { # what a folder was made with, in the place of the usual: a line of CMakeCache.txt
  printf '%s\n' "CMAKE_HOME_DIRECTORY:INTERNAL=$scratch/source" "CMAKE_CACHEFILE_DIR:INTERNAL=$build" \
    "CMAKE_GENERATOR:INTERNAL=Ninja" "CMAKE_MAKE_PROGRAM:FILEPATH=$scratch/bin/ninja" \
    "CMAKE_CXX_COMPILER:FILEPATH=$scratch/bin/c++" "CMAKE_CXX_COMPILER-ADVANCED:INTERNAL=1" |
    grep -v "^${1%%:*}:" >"$build/CMakeCache.txt"
  echo "$1" >>"$build/CMakeCache.txt"
}

build '' "a new folder"
grep -q -- '-G Ninja .*-DPRUNEPEFT_BUILD_TESTS=OFF -DPRUNEPEFT_WERROR=OFF' "$NOTES" || failed "$(cat "$NOTES")"
made "PRUNEPEFT_CUDA:STRING=OFF"
build '' "the same again"
for other in "CMAKE_HOME_DIRECTORY:INTERNAL=$scratch/elsewhere" "CMAKE_CACHEFILE_DIR:INTERNAL=$scratch/elsewhere/native" \
  "CMAKE_GENERATOR:INTERNAL=Unix Makefiles" "CMAKE_MAKE_PROGRAM:FILEPATH=$scratch/bin/gone" \
  "CMAKE_CXX_COMPILER:FILEPATH=$scratch/bin/g++" "CMAKE_CXX_COMPILER:FILEPATH=$scratch/bin/gone" \
  "CMAKE_CXX_COMPILER_ARG1:STRING= -m32"; do
  made "$other"
  build --fresh "$other"
done
ln -s "$scratch/source" "$scratch/link"
made "PRUNEPEFT_CUDA:STRING=OFF"
source_dir=$scratch/link build '' "the same folder by a link"

export CXX="ccache g++"
build --fresh "another CXX"
made "CMAKE_CXX_COMPILER:FILEPATH=$scratch/bin/ccache"
echo "CMAKE_CXX_COMPILER_ARG1:STRING= g++" >>"$build/CMakeCache.txt"
build '' "CXX with an argument"
grep -qx "exec ccache g++ \"\$@\"" "$build/c++" || failed "$(cat "$build/c++")"
export CXX=no-such-compiler
if "$root/cmake/build.sh" "$scratch/source" "$build" OFF >"$scratch/said" 2>&1; then failed "built without a compiler"; fi
grep -q "'no-such-compiler' was not found" "$scratch/said" || failed "$(cat "$scratch/said")"

sanitize() { # expected exit code, CXX, what it says
  local code=0
  CXX=$2 PATH=${tools:-$PATH} "$root/native/sanitize" --cpu address >"$scratch/said" 2>&1 || code=$?
  [ $code -eq "$1" ] || failed "native/sanitize ended with $code for CXX=$2: $(cat "$scratch/said")"
  [ -z "$3" ] || grep -q "$3" "$scratch/said" || failed "$(cat "$scratch/said")"
}
sanitize 0 "ccache g++" ''
sanitize 3 bare "bare makes no program with -fsanitize=address"
sanitize 2 broken "missing: a C++ compiler (CXX is broken)"
sanitize 2 no-such-compiler "missing: a C++ compiler (CXX is no-such-compiler)"
# Without CMake it is CMake that is missing, whatever the compiler.
for tool in basename bash cat dirname mktemp nproc realpath rm sed; do ln -s "$(command -v $tool)" "$scratch/few/$tool"; done
cp "$scratch/bin/bare" "$scratch/bin/ninja" "$scratch/few"
tools=$scratch/few sanitize 2 bare "missing: cmake"
echo "all as expected"
