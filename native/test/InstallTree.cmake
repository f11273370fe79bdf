# Installs a build, moves what it installed, and builds and runs native/example with it, by find_package and by pkg-config:
#   cmake -DBUILD= -DEXAMPLE= -DFOLDER= -DGENERATOR= -DCC= [-DPKG_CONFIG=] -P InstallTree.cmake
set(expected "y 4.0 8.0 11.5 20.0\ndX 2.5 2.5 1.5 2.5 2.5 1.5\ndA 7.5 10.5 13.5\ndB 10.5 10.5\n")

function(check_output program)
  execute_process(COMMAND ${program} OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  if(NOT output STREQUAL expected)
    message(FATAL_ERROR "${program} printed\n${output}in place of\n${expected}")
  endif()
endfunction()

file(REMOVE_RECURSE ${FOLDER})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${FOLDER}/before COMMAND_ERROR_IS_FATAL ANY)
set(tree ${FOLDER}/installed)
file(RENAME ${FOLDER}/before ${tree})

execute_process(
  COMMAND ${CMAKE_COMMAND} -S ${EXAMPLE} -B ${FOLDER}/build -G ${GENERATOR} -DCMAKE_C_COMPILER=${CC} -DCMAKE_PREFIX_PATH=${tree}
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${FOLDER}/build COMMAND_ERROR_IS_FATAL ANY)
check_output(${FOLDER}/build/lora)

if(PKG_CONFIG)
  file(GLOB_RECURSE pc ${tree}/prunepeft.pc)
  cmake_path(GET pc PARENT_PATH pkgconfig)
  set(ENV{PKG_CONFIG_PATH} ${pkgconfig})
  execute_process(
    COMMAND ${PKG_CONFIG} --cflags --libs prunepeft
    OUTPUT_VARIABLE flags
    OUTPUT_STRIP_TRAILING_WHITESPACE
    COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  execute_process(COMMAND ${CC} ${EXAMPLE}/lora.c ${flags} -o ${FOLDER}/lora COMMAND_ERROR_IS_FATAL ANY)
  cmake_path(GET pkgconfig PARENT_PATH libraries)
  set(ENV{LD_LIBRARY_PATH} ${libraries})
  check_output(${FOLDER}/lora)
endif()
