# CUDA code in the library, by the variable PRUNEPEFT_CUDA:
#   OFF   none (the default: the command line's own build never compiles CUDA)
#   ON    required
#   AUTO  if a CUDA compiler of PRUNEPEFT_CUDA_LEAST or newer is found
# After it, PRUNEPEFT_WITH_CUDA says whether the CUDA sources of PrunePeftFamilies.cmake are to be built.

set(PRUNEPEFT_CUDA OFF CACHE STRING "Build the CUDA kernels: OFF, ON, or AUTO (if a CUDA compiler is found)")
set_property(CACHE PRUNEPEFT_CUDA PROPERTY STRINGS OFF ON AUTO)
set(PRUNEPEFT_CUDA_ONLY "" CACHE STRING "Compute capabilities to build for (such as 90) in place of all, for a program that stays here")
set(PRUNEPEFT_CUDA_LEAST 12.4)

set(PRUNEPEFT_WITH_CUDA OFF)
if(PRUNEPEFT_CUDA STREQUAL "AUTO" OR PRUNEPEFT_CUDA)
  include(CheckLanguage)
  # CMake remembers that it found none, and would not look for one that was installed since.
  if(NOT CMAKE_CUDA_COMPILER)
    unset(CMAKE_CUDA_COMPILER CACHE)
  endif()
  # The nvcc of Python's packages (site-packages/nvidia/cu13/bin) does not find their libraries by itself, which are in lib, not
  # lib64; nor does CMake find a runtime without the link libcudart.so.
  set(PRUNEPEFT_NVCC "${CMAKE_CUDA_COMPILER}")
  if(NOT PRUNEPEFT_NVCC)
    set(PRUNEPEFT_NVCC "$ENV{CUDACXX}")
  endif()
  if(NOT PRUNEPEFT_NVCC)
    find_program(PRUNEPEFT_NVCC nvcc NO_CACHE)
  endif()
  get_filename_component(PRUNEPEFT_PACKAGES "${PRUNEPEFT_NVCC}/../.." REALPATH)
  file(GLOB PRUNEPEFT_CUDART "${PRUNEPEFT_PACKAGES}/lib/libcudart.so.*")
  if(PRUNEPEFT_NVCC AND PRUNEPEFT_CUDART AND NOT EXISTS "${PRUNEPEFT_PACKAGES}/lib64")
    list(GET PRUNEPEFT_CUDART 0 PRUNEPEFT_CUDART)
    set(CUDA_CUDART "${PRUNEPEFT_CUDART}" CACHE FILEPATH "The CUDA runtime of Python's packages")
    if(DEFINED ENV{LIBRARY_PATH})
      set(ENV{LIBRARY_PATH} "${PRUNEPEFT_PACKAGES}/lib:$ENV{LIBRARY_PATH}")
    else()
      set(ENV{LIBRARY_PATH} "${PRUNEPEFT_PACKAGES}/lib")
    endif()
  endif()
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    set(CMAKE_CUDA_ARCHITECTURES 80-real)  # replaced below, once the compiler's version is known
    enable_language(CUDA)
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL PRUNEPEFT_CUDA_LEAST)
      set(PRUNEPEFT_WITH_CUDA ON)
    endif()
  endif()
  if(NOT PRUNEPEFT_WITH_CUDA)
    if(PRUNEPEFT_CUDA STREQUAL "AUTO")
      message(STATUS "CUDA left out: no CUDA compiler ${PRUNEPEFT_CUDA_LEAST} or newer")
    else()
      message(FATAL_ERROR "PRUNEPEFT_CUDA=ON needs a CUDA compiler ${PRUNEPEFT_CUDA_LEAST} or newer")
    endif()
  endif()
endif()

if(PRUNEPEFT_WITH_CUDA)
  find_package(CUDAToolkit REQUIRED)
  # Code for Ampere (A100; RTX 30, and 40 with it), Hopper and, from 12.8 on, Blackwell; PTX for what comes later.
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.8)
    set(PRUNEPEFT_CUDA_ARCHITECTURES 80 86 90a 100)
    set(PRUNEPEFT_CUDA_PTX 100)
  else()
    set(PRUNEPEFT_CUDA_ARCHITECTURES 80 86 90a)
    set(PRUNEPEFT_CUDA_PTX 90)
  endif()
  if(PRUNEPEFT_CUDA_ONLY)
    # linear_warpgroup.cuh is for that target alone.
    list(TRANSFORM PRUNEPEFT_CUDA_ONLY REPLACE "^90$" "90a" OUTPUT_VARIABLE PRUNEPEFT_CUDA_ARCHITECTURES)
    set(PRUNEPEFT_CUDA_PTX)
  endif()
  list(TRANSFORM PRUNEPEFT_CUDA_ARCHITECTURES APPEND -real OUTPUT_VARIABLE CMAKE_CUDA_ARCHITECTURES)
  if(PRUNEPEFT_CUDA_PTX)
    list(APPEND CMAKE_CUDA_ARCHITECTURES ${PRUNEPEFT_CUDA_PTX}-virtual)
  endif()
  set(CMAKE_CUDA_STANDARD 17)
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
  set(PRUNEPEFT_CUDA_OPTIONS -Xptxas=-warn-spills)
  prunepeft_warnings_are_errors(cuda_warnings_are_errors "${CMAKE_CUDA_COMPILER_ID}" "${CMAKE_CUDA_COMPILER_VERSION}")
  if(cuda_warnings_are_errors)
    list(PREPEND PRUNEPEFT_CUDA_OPTIONS -Werror all-warnings)  # register spills among them
  endif()
  # Registers, shared memory and stack of each kernel are compared with native/cuda-resources.txt; and by a test the loops of its
  # machine code with native/cuda-loops.txt, where there is a Python. All kernels are compiled once more for it, so a build does
  # it where warnings are errors, and else the tests.
  set(PRUNEPEFT_RESOURCES ${CMAKE_CURRENT_BINARY_DIR}/cuda-resources.txt)
  string(REPLACE ";" "," kernel_sources "${PRUNEPEFT_CUDA_KERNEL_SOURCES}")
  string(REPLACE ";" "," architectures "${PRUNEPEFT_CUDA_ARCHITECTURES}")
  set(resources_command ${CMAKE_COMMAND} -DNVCC=${CMAKE_CUDA_COMPILER} -DVERSION=${CMAKE_CUDA_COMPILER_VERSION}
      -DROOT=${CMAKE_CURRENT_SOURCE_DIR} -DSOURCES=${kernel_sources} -DARCHITECTURES=${architectures}
      -DKEPT=${CMAKE_CURRENT_SOURCE_DIR}/cuda-resources.txt -DOUTPUT=${PRUNEPEFT_RESOURCES} -DSTRICT=${cuda_warnings_are_errors})
  file(GLOB_RECURSE cuda_headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/*.cuh ${CMAKE_CURRENT_SOURCE_DIR}/src/*.h)
  add_custom_command(
    OUTPUT ${PRUNEPEFT_RESOURCES}
    COMMAND ${resources_command} -P ${CMAKE_CURRENT_LIST_DIR}/CudaResources.cmake
    DEPENDS ${PRUNEPEFT_CUDA_KERNEL_SOURCES} ${cuda_headers} cuda-resources.txt ${CMAKE_CURRENT_LIST_DIR}/CudaResources.cmake
    COMMENT "Comparing the kernels' registers, shared memory and stack with cuda-resources.txt"
    VERBATIM)
  set(in_all)
  if(cuda_warnings_are_errors)
    set(in_all ALL)
  endif()
  add_custom_target(cuda_resources ${in_all} DEPENDS ${PRUNEPEFT_RESOURCES})
  set(update_loops COMMAND ${CMAKE_COMMAND} -E echo "cuda-loops.txt is left as it is: no python3 is found")
  find_package(Python3 COMPONENTS Interpreter)
  if(Python3_FOUND)
    set(PRUNEPEFT_CUDA_LOOPS ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/cuda_loops.py)
    set(PRUNEPEFT_CUDA_LOOPS_TABLE ${CMAKE_CURRENT_SOURCE_DIR}/cuda-loops.txt)
    set(update_loops COMMAND ${PRUNEPEFT_CUDA_LOOPS} ${CMAKE_CURRENT_BINARY_DIR}/cubins ${CMAKE_CUDA_COMPILER_VERSION}
        ${PRUNEPEFT_CUDA_LOOPS_TABLE} --update)
  endif()
  # The files are of all architectures: a build for some would take the others' numbers out of them.
  if(NOT PRUNEPEFT_CUDA_ONLY)
    add_custom_target(
      update_cuda_resources
      COMMAND ${resources_command} -DUPDATE=ON -P ${CMAKE_CURRENT_LIST_DIR}/CudaResources.cmake
      ${update_loops}
      VERBATIM)
  endif()
endif()

# prunepeft_add_cuda(<target>): adds the CUDA sources and the static CUDA runtime to the library.
function(prunepeft_add_cuda target)
  target_sources(${target} PRIVATE ${PRUNEPEFT_CUDA_SOURCES})
  target_compile_definitions(${target} PRIVATE PRUNEPEFT_CUDA)
  target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:${PRUNEPEFT_CUDA_OPTIONS}>")
  target_link_libraries(${target} PRIVATE CUDA::cudart_static)
  # The process may hold another copy of the CUDA runtime (LibTorch's): neither is to be taken for the other.
  target_link_options(${target} PRIVATE -Wl,--exclude-libs,ALL)
endfunction()
