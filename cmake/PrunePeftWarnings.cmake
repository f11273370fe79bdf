# prunepeft_warnings(<target>): the warnings that every target of ours is compiled with. They are errors where PRUNEPEFT_WERROR asks for
# it, for compilers that we know; not with sanitizers, whose instrumented code GCC warns of where nothing is wrong.
option(PRUNEPEFT_WERROR "A warning ends the build, if the compiler is one that is known to give none" OFF)
# A new warning of another one, or of another version, says nothing of a change.
set(PRUNEPEFT_COMPILERS_WITHOUT_WARNINGS "GNU 12" "NVIDIA 13.0")

# prunepeft_warnings_are_errors(<variable> <id> <version>): whether a warning of this compiler ends the build.
function(prunepeft_warnings_are_errors variable id version)
  set(${variable} OFF PARENT_SCOPE)
  if(NOT PRUNEPEFT_WERROR)
    return()
  endif()
  foreach(known IN LISTS PRUNEPEFT_COMPILERS_WITHOUT_WARNINGS)
    string(FIND "${id} ${version}." "${known}." place)
    if(place EQUAL 0)
      set(${variable} ON PARENT_SCOPE)
      return()
    endif()
  endforeach()
  list(JOIN PRUNEPEFT_COMPILERS_WITHOUT_WARNINGS ", " known)
  message(STATUS "Warnings of ${id} ${version} end no build: PRUNEPEFT_WERROR is for ${known}")
endfunction()

if(NOT PRUNEPEFT_SANITIZE)
  prunepeft_warnings_are_errors(PRUNEPEFT_WARNINGS_ARE_ERRORS "${CMAKE_CXX_COMPILER_ID}" "${CMAKE_CXX_COMPILER_VERSION}")
endif()

function(prunepeft_warnings target)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra>)
  if(PRUNEPEFT_WARNINGS_ARE_ERRORS)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
  endif()
  # Functions that only CUDA's side calls, in a build without it; and the alignment of 1 that a pointer to bfloat16 loses on its
  # way through a template to load(), which has it again.
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    target_compile_options(${target} PRIVATE
      $<$<COMPILE_LANGUAGE:CXX>:-Wno-unneeded-internal-declaration -Wno-align-mismatch>)
  endif()
endfunction()
