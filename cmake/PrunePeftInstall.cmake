# What `cmake --install` puts where C and C++ programs look: the library, its headers, and what find_package(prunepeft) and pkg-config
# read. Nothing of it names a folder, so that the tree can be moved.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS prunepeft EXPORT prunepeft INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/prunepeft TYPE INCLUDE)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/prunepeft)
install(EXPORT prunepeft NAMESPACE prunepeft:: FILE prunepeftConfig.cmake DESTINATION ${package})
write_basic_package_version_file(prunepeftConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/prunepeftConfigVersion.cmake DESTINATION ${package})

if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  # A folder that was asked for by its whole name is not below the prefix.
  set(PC_PREFIX ${CMAKE_INSTALL_PREFIX})
else()
  file(RELATIVE_PATH prefix_from_pc /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  set(PC_PREFIX "\${pcfiledir}/${prefix_from_pc}")
endif()
foreach(folder LIBDIR INCLUDEDIR)
  set(PC_${folder} ${CMAKE_INSTALL_${folder}})
  if(NOT IS_ABSOLUTE "${PC_${folder}}")
    string(PREPEND PC_${folder} "\${prefix}/")
  endif()
endforeach()
configure_file(${CMAKE_CURRENT_LIST_DIR}/prunepeft.pc.in prunepeft.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/prunepeft.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
