# prunepeft_warnings(<target>): the warnings that every target of ours is compiled with, as errors.
function(prunepeft_warnings target)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Werror>)
endfunction()
