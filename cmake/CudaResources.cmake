# Compiles the kernel sources for each architecture and writes what each kernel takes of a processor: registers, static shared
# memory and stack. Compares it with the file under version control, or with UPDATE writes that file. Numbers differ between
# compilers, so they are compared only for the compiler that the file names.
#
#   cmake -DNVCC= -DVERSION= -DROOT= -DSOURCES=a.cu,b.cu -DARCHITECTURES=80,90a -DKEPT= -DOUTPUT= [-DUPDATE=ON] -P CudaResources.cmake

string(REPLACE "," ";" SOURCES "${SOURCES}")
string(REPLACE "," ";" ARCHITECTURES "${ARCHITECTURES}")
get_filename_component(bin "${OUTPUT}" DIRECTORY)
get_filename_component(toolkit "${NVCC}" DIRECTORY)
find_program(CUOBJDUMP cuobjdump HINTS ${toolkit})

# What the fused linear by warpgroups is for: the products and copies of sm_90a, in the machine code; and that in clusters
# copies come to several blocks.
function(check_warpgroups cubin)
  execute_process(COMMAND ${CUOBJDUMP} -sass ${cubin} OUTPUT_VARIABLE code COMMAND_ERROR_IS_FATAL ANY)
  foreach(instruction HGMMA UTMALDG "UTMALDG[^\n]*MULTICAST")
    if(NOT code MATCHES "${instruction}")
      message(FATAL_ERROR "linear_warpgroup.cu for sm_90a has no ${instruction}")
    endif()
  endforeach()
endfunction()

# "_ZN9prunepeft4cuda4downI6__halfEE..." to "down half"
function(kernel_name mangled result)
  string(REGEX REPLACE "^_ZN9prunepeft4cuda" "" rest "${mangled}")
  string(REGEX MATCH "^[0-9]+" length "${rest}")
  string(LENGTH "${length}" digits)
  string(SUBSTRING "${rest}" ${digits} ${length} name)
  math(EXPR end "${digits} + ${length}")
  string(SUBSTRING "${rest}" ${end} -1 rest)
  if(rest MATCHES "^If")
    string(APPEND name " float")
  elseif(rest MATCHES "^I6__half")
    string(APPEND name " half")
  elseif(rest MATCHES "^I13__nv_bfloat16")
    string(APPEND name " bf16")
  endif()
  # Tile sizes and switches among the template's arguments: "LinearTileILi4ELi2ELi2E" to "4x2x2", "Lb1E" to "masked", and of
  # kernels by warpgroups the last, "Li2EE", to "clusters".
  if(rest MATCHES "TileILi([0-9]+)ELi([0-9]+)ELi([0-9]+)E")
    string(APPEND name " ${CMAKE_MATCH_1}x${CMAKE_MATCH_2}x${CMAKE_MATCH_3}")
  endif()
  if(rest MATCHES "Lb1E")
    string(APPEND name " masked")
  endif()
  if(name MATCHES "warpgroup" AND rest MATCHES "Li2EE")
    string(APPEND name " clusters")
  endif()
  set(${result} "${name}" PARENT_SCOPE)
endfunction()

set(lines "")
foreach(architecture IN LISTS ARCHITECTURES)
  foreach(source IN LISTS SOURCES)
    execute_process(
      COMMAND ${NVCC} -std=c++17 -O3 -Werror all-warnings -Xptxas=-warn-spills,-v -I${ROOT}/src -I${ROOT}/include
              -gencode=arch=compute_${architecture},code=sm_${architecture} -cubin -o ${bin}/resources.cubin ${ROOT}/${source}
      RESULT_VARIABLE failed
      OUTPUT_VARIABLE text
      ERROR_VARIABLE text)
    if(failed)
      message(FATAL_ERROR "${source} for sm_${architecture}:\n${text}")
    endif()
    # A note, not a warning: products by warpgroups that wait for each other, registers that are not handed over.
    if(text MATCHES "Potential Performance Loss:[^\n]*")
      message(FATAL_ERROR "${source} for sm_${architecture}:\n${CMAKE_MATCH_0}")
    endif()
    if(CUOBJDUMP AND architecture STREQUAL "90a" AND source MATCHES "linear_warpgroup")
      check_warpgroups(${bin}/resources.cubin)
    endif()
    string(REGEX REPLACE "[^\n]*Compile time[^\n]*\n" "" text "${text}")
    string(REGEX MATCHALL "Function properties for [^\n]*\n[^\n]*\n[^\n]*Used [^\n]*" kernels "${text}")
    foreach(kernel IN LISTS kernels)
      string(REGEX MATCH "properties for ([^\n]*)" ignored "${kernel}")
      kernel_name("${CMAKE_MATCH_1}" name)
      string(REGEX MATCH "([0-9]+) bytes stack" ignored "${kernel}")
      set(stack "${CMAKE_MATCH_1}")
      string(REGEX MATCH "Used ([0-9]+) registers" ignored "${kernel}")
      set(registers "${CMAKE_MATCH_1}")
      set(shared 0)
      if(kernel MATCHES "([0-9]+) bytes smem")
        set(shared "${CMAKE_MATCH_1}")
      endif()
      list(APPEND lines "sm_${architecture} ${name}: ${registers} registers, ${shared} bytes shared, ${stack} bytes stack")
    endforeach()
  endforeach()
endforeach()
file(REMOVE ${bin}/resources.cubin)
list(LENGTH lines count)
if(count EQUAL 0)
  message(FATAL_ERROR "no kernel found in the compiler's report")
endif()
list(REMOVE_DUPLICATES lines)
list(SORT lines COMPARE NATURAL)
list(PREPEND lines "nvcc ${VERSION}")
string(REPLACE ";" "\n" text "${lines}\n")

if(UPDATE)
  file(WRITE ${KEPT} "${text}")
  return()
endif()
file(READ ${KEPT} kept)
string(REGEX MATCH "^nvcc [^\n]*" kept_compiler "${kept}")
if(NOT kept_compiler STREQUAL "nvcc ${VERSION}")
  message(STATUS "cuda-resources.txt is of ${kept_compiler}, not compared with nvcc ${VERSION}")
elseif(NOT kept STREQUAL text)
  file(WRITE ${OUTPUT}.new "${text}")
  message(FATAL_ERROR "The kernels take other resources than ${KEPT} says; they are in ${OUTPUT}.new. "
                      "If that is meant, build the target update_cuda_resources.")
endif()
file(WRITE ${OUTPUT} "${text}")
