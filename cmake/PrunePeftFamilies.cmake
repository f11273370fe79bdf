# The sources of the library, by family: each folder of native/src has a family.cmake, which names its own.
#
#   prunepeft_family(FOLDER ENTRY ... KERNELS ... BF16_KERNELS ... TILE_KERNELS ... CUDA ... CUDA_KERNELS ...)
#
#   ENTRY         compiled once: argument checks, and the choice of an instruction set
#   KERNELS       compiled for each instruction set
#   BF16_KERNELS  for one more, which multiplies bfloat16
#   TILE_KERNELS  for tile registers too
#   CUDA          host code of CUDA's side
#   CUDA_KERNELS  sources that define CUDA kernels, whose resources are compared with native/cuda-resources.txt
#
# Paths are kept relative to native/.

set(PRUNEPEFT_SOURCES)
set(PRUNEPEFT_KERNELS)
set(PRUNEPEFT_BF16_KERNELS)
set(PRUNEPEFT_TILE_KERNELS)
set(PRUNEPEFT_CUDA_SOURCES)
set(PRUNEPEFT_CUDA_KERNEL_SOURCES)

macro(prunepeft_family folder)
  cmake_parse_arguments(family "" "" "ENTRY;KERNELS;BF16_KERNELS;TILE_KERNELS;CUDA;CUDA_KERNELS" ${ARGN})
  foreach(kind ENTRY KERNELS BF16_KERNELS TILE_KERNELS CUDA CUDA_KERNELS)
    list(TRANSFORM family_${kind} PREPEND ${folder}/)
  endforeach()
  list(APPEND PRUNEPEFT_SOURCES ${family_ENTRY})
  list(APPEND PRUNEPEFT_KERNELS ${family_KERNELS})
  list(APPEND PRUNEPEFT_BF16_KERNELS ${family_BF16_KERNELS} ${family_TILE_KERNELS})
  list(APPEND PRUNEPEFT_TILE_KERNELS ${family_TILE_KERNELS})
  list(APPEND PRUNEPEFT_CUDA_SOURCES ${family_CUDA} ${family_CUDA_KERNELS})
  list(APPEND PRUNEPEFT_CUDA_KERNEL_SOURCES ${family_CUDA_KERNELS})
endmacro()

foreach(family core cuda graph linear adapter attention encoder decoder loss importance)
  include(${CMAKE_CURRENT_LIST_DIR}/../native/src/${family}/family.cmake)
endforeach()
