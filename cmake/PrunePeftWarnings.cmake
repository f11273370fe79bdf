# prunepeft_warnings(<target>): the warnings that every target of ours is compiled with. They are errors where PRUNEPEFT_WERROR asks for
# it, for compilers that we know; not with sanitizers, whose instrumented code GCC warns of where nothing is wrong.
option(PRUNEPEFT_WERROR "A compiler's warning ends the build" OFF)

function(prunepeft_warnings target)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra>)
  if(PRUNEPEFT_WERROR AND NOT PRUNEPEFT_SANITIZE)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
  endif()
  # Functions that only CUDA's side calls, in a build without it; and the alignment of 1 that a pointer to bfloat16 loses on its
  # way through a template to load(), which has it again.
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    target_compile_options(${target} PRIVATE
      $<$<COMPILE_LANGUAGE:CXX>:-Wno-unneeded-internal-declaration -Wno-align-mismatch>)
  endif()
endfunction()
