# Sanitizers for everything that is compiled after it, by PRUNEPEFT_SANITIZE; the presets of native/CMakePresets.json set it, and
# with them the sanitizers' options when tests run. A finding ends its program.

add_compile_options(-fsanitize=${PRUNEPEFT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
add_link_options(-fsanitize=${PRUNEPEFT_SANITIZE})

# Clang's OpenMP tells the thread sanitizer, by Archer, which threads wait for which. GCC's does not, so that what threads do one
# after the other looks like a race.
if(PRUNEPEFT_SANITIZE STREQUAL "thread")
  get_filename_component(openmp_directory "${OpenMP_omp_LIBRARY}" DIRECTORY)
  find_file(PRUNEPEFT_ARCHER libarcher.so HINTS "${openmp_directory}" NO_DEFAULT_PATH)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang" OR NOT PRUNEPEFT_ARCHER)
    message(FATAL_ERROR "The thread sanitizer needs Clang, and libarcher.so beside its OpenMP: native/sanitize thread finds them")
  endif()
endif()

# prunepeft_sanitized_tests(PROGRAM): for the tests of the current folder, with Archer; and a test that it is at work in one program.
function(prunepeft_sanitized_tests program)
  if(NOT PRUNEPEFT_ARCHER)
    return()
  endif()
  add_test(NAME archer COMMAND ${program})
  get_property(tests DIRECTORY PROPERTY TESTS)
  set_tests_properties(${tests} PROPERTIES ENVIRONMENT "OMP_TOOL_LIBRARIES=${PRUNEPEFT_ARCHER};ARCHER_OPTIONS=verbose=1")
  set_tests_properties(archer PROPERTIES PASS_REGULAR_EXPRESSION "Archer detected OpenMP application with TSan")
endfunction()
