# The SIMT emulator as a target, and a function that compiles CUDA sources to run in it.
#
#   simt_add_library(name source.cu ...)   a static library of kernels and launchers, compiled by the host compiler, which
#                                          must be GCC
#
# Kernels are compiled with the thread sanitizer's instrumentation, whose callbacks the emulator defines; its library must not be
# linked, so -fsanitize=thread never reaches the link line. Undefined behaviour traps, and the emulator reports the trap. The
# address sanitizer does without them, since there is but one for a source.

set(SIMT_ROOT ${CMAKE_CURRENT_LIST_DIR}/../native/emulator)

# Products and sums stay apart, as the sources have them: a compiler may fuse them where the processor has an instruction for it.
set(SIMT_KERNEL_OPTIONS -ffp-contract=off -fno-sanitize=address -fsanitize=thread,undefined -fno-sanitize=vptr -fsanitize-undefined-trap-on-error
                        --param tsan-instrument-func-entry-exit=0)

# Fibers switch by ucontext in the second, as they do in the first on processors other than x86-64; the self-test runs in both.
foreach(emulator simt_emulator simt_emulator_ucontext)
  add_library(${emulator} STATIC
    ${SIMT_ROOT}/block.cpp ${SIMT_ROOT}/contexts.cpp ${SIMT_ROOT}/count.cpp ${SIMT_ROOT}/fiber.cpp ${SIMT_ROOT}/hooks.cpp ${SIMT_ROOT}/hopper.cpp ${SIMT_ROOT}/runtime.cpp ${SIMT_ROOT}/shadow.cpp
    ${SIMT_ROOT}/stream.cpp ${SIMT_ROOT}/symbols.cpp ${SIMT_ROOT}/warp.cpp)
  target_compile_features(${emulator} PUBLIC cxx_std_17)
  target_compile_options(${emulator} PRIVATE -O3 -g -Wall -Wextra -Wshadow)
  target_include_directories(${emulator} PUBLIC ${SIMT_ROOT})
  target_link_libraries(${emulator} PUBLIC ${CMAKE_DL_LIBS})
  target_link_options(${emulator} INTERFACE -Wl,--wrap=memcpy,--wrap=memset)
endforeach()
target_compile_definitions(simt_emulator_ucontext PRIVATE SIMT_UCONTEXT)

function(simt_add_library name)
  set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CXX)
  add_library(${name} STATIC ${ARGN})
  target_compile_options(${name} PRIVATE -O1 -g -Wall -Wextra -Wno-unknown-pragmas -Wno-psabi ${SIMT_KERNEL_OPTIONS})
  target_include_directories(${name} PRIVATE ${SIMT_ROOT}/../src)  # cuda/ptx.cuh
  target_link_libraries(${name} PUBLIC simt_emulator)
endfunction()
