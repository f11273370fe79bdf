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

file(RELATIVE_PATH PREFIX_FROM_PC /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${CMAKE_CURRENT_LIST_DIR}/prunepeft.pc.in prunepeft.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/prunepeft.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
