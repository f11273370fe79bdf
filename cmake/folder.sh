# For scripts that build in a folder of CMake's, by `source`.

# compiler_words: CXX as a program and its arguments, in the array `compiler`. A program's path may have spaces, then there are none.
compiler_words() {
  if command -v "$CXX" >/dev/null 2>&1; then compiler=("$CXX"); else read -ra compiler <<<"$CXX"; fi
}

# made_otherwise SOURCE_DIR BUILD_DIR GENERATOR: whether CMake has to begin the folder anew. It was made at another place, with another
# generator or for another compiler than CXX says, or a program that it was made with is not there any more.
made_otherwise() {
  [ -f "$2/CMakeCache.txt" ] || return 1
  kept() { sed -n "s|^$1:[A-Z]*=||p" "$2/CMakeCache.txt"; }
  local made compiler arguments
  made=$(kept CMAKE_CXX_COMPILER "$2")
  compiler_words
  read -ra arguments <<<"$(kept CMAKE_CXX_COMPILER_ARG1 "$2")"
  ! { [ "$(realpath -m "$(kept CMAKE_HOME_DIRECTORY "$2")" 2>/dev/null)" = "$(realpath -m "$1")" ] &&
    [ "$(realpath -m "$(kept CMAKE_CACHEFILE_DIR "$2")" 2>/dev/null)" = "$(realpath -m "$2")" ] &&
    [ "$(kept CMAKE_GENERATOR "$2")" = "$3" ] && [ -x "$(kept CMAKE_MAKE_PROGRAM "$2")" ] &&
    [ -x "$made" ] && [ "$made" -ef "$(command -v "${compiler[0]}")" ] &&
    [ "${arguments[*]}" = "${compiler[*]:1}" ]; }
}
