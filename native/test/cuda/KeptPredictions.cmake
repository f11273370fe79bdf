# Fails where a program predicts otherwise than a file under version control says, or with UPDATE writes that file:
#   cmake -DPROGRAM=gpu_check -DKEPT=file -DMADE=file [-DUPDATE=ON] -P KeptPredictions.cmake
execute_process(COMMAND ${PROGRAM} predict OUTPUT_FILE ${MADE} RESULT_VARIABLE ended)
if(NOT ended EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} predict ended with ${ended}")
endif()
if(UPDATE)
  configure_file(${MADE} ${KEPT}.new COPYONLY)  # a rename needs both in one file system
  file(RENAME ${KEPT}.new ${KEPT})
  return()
endif()
execute_process(COMMAND ${CMAKE_COMMAND} -E compare_files ${MADE} ${KEPT} RESULT_VARIABLE differs OUTPUT_QUIET ERROR_QUIET)
if(NOT differs EQUAL 0)
  find_program(diff NAMES diff)
  if(diff)
    execute_process(COMMAND ${diff} -u ${KEPT} ${MADE})
  endif()
  message(FATAL_ERROR "cost.h predicts otherwise than ${KEPT}. If that is meant, build the target update_cuda_predictions.")
endif()
