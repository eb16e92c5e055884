# Install and export rules: headers, the library as casement:: targets for find_package(casement) and
# as casement.pc for pkg-config, the programs, and the headers for writing BPF programs. What stands
# behind the library (the modules of src/) is not part of the interface and is not installed.

include(CMakePackageConfigHelpers)

set(sdk_dir ${CMAKE_INSTALL_DATADIR}/casement/sdk)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h")
install(DIRECTORY ${PROJECT_BINARY_DIR}/sdk/include/ DESTINATION ${sdk_dir}/include)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

get_property(programs GLOBAL PROPERTY CASEMENT_PROGRAMS)
if(programs)
  install(TARGETS ${programs} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

# libebpfapi, the embedded shape: everything in one shared library.
if(TARGET ebpfapi)
  install(TARGETS ebpfapi EXPORT casement
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(EXPORT casement NAMESPACE casement:: FILE casementTargets.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/casement)
  configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/casementConfig.cmake.in
    ${PROJECT_BINARY_DIR}/casementConfig.cmake PATH_VARS sdk_dir
    INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/casement)
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/casementConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/casementConfig.cmake ${PROJECT_BINARY_DIR}/casementConfigVersion.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/casement)
  file(RELATIVE_PATH casement_pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  string(REGEX REPLACE "/$" "" casement_pc_to_prefix "${casement_pc_to_prefix}")
  configure_file(${CMAKE_CURRENT_LIST_DIR}/casement.pc.in ${PROJECT_BINARY_DIR}/casement.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/casement.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()

# The daemon as a service of the system; nothing enables it.
if(TARGET ebpfsvc)
  set(bindir ${CMAKE_INSTALL_FULL_BINDIR})
  set(docdir ${CMAKE_INSTALL_FULL_DOCDIR})
  configure_file(${PROJECT_SOURCE_DIR}/packaging/ebpfsvc.service.in
    ${PROJECT_BINARY_DIR}/ebpfsvc.service @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/ebpfsvc.service DESTINATION lib/systemd/system)
  install(FILES ${PROJECT_SOURCE_DIR}/packaging/ebpfsvc.sysusers DESTINATION lib/sysusers.d RENAME casement.conf)
  install(FILES ${PROJECT_SOURCE_DIR}/docs/service.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
endif()
