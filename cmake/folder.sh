# For scripts that build in a folder of CMake's, by `source`.

# made_otherwise SOURCE_DIR BUILD_DIR GENERATOR: whether CMake has to begin the folder anew. It was made at another place, with another
# generator or for another compiler than CXX says (c++ where it says none), or a program that it was made with is not there any more.
made_otherwise() {
  [ -f "$2/CMakeCache.txt" ] || return 1
  kept() { sed -n "s|^$1:[A-Z]*=||p" "$2/CMakeCache.txt"; }
  local made compiler
  made=$(kept CMAKE_CXX_COMPILER "$2")
  read -ra compiler <<<"${CXX:-c++}"
  ! { [ "$(realpath -m "$(kept CMAKE_HOME_DIRECTORY "$2")")" = "$(realpath -m "$1")" ] &&
    [ "$(realpath -m "$(kept CMAKE_CACHEFILE_DIR "$2")")" = "$(realpath -m "$2")" ] &&
    [ "$(kept CMAKE_GENERATOR "$2")" = "$3" ] && [ -x "$(kept CMAKE_MAKE_PROGRAM "$2")" ] &&
    [ -x "$made" ] && [ "$made" -ef "$(command -v "${compiler[0]}")" ] &&
    [ "$(kept CMAKE_CXX_COMPILER_ARG1 "$2" | xargs)" = "${compiler[*]:1}" ]; }
}
