# prunepeft_warnings(<target>): the warnings that every target of ours is compiled with, as errors; not with sanitizers, whose
# instrumented code GCC warns of where nothing is wrong.
function(prunepeft_warnings target)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra>)
  if(NOT PRUNEPEFT_SANITIZE)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
  endif()
  # Functions that only CUDA's side calls, in a build without it; and the alignment of 1 that a pointer to bfloat16 loses on its
  # way through a template to load(), which has it again.
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Wno-unneeded-internal-declaration -Wno-align-mismatch>)
endfunction()
