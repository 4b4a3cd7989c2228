# The library for other programs, `cmake --install BUILD --component library`: find_package(gridbridge) gives
# gridbridge::gitlab, and gridbridge::fakegitlab where that was built.
include(CMakePackageConfigHelpers)
set(headers "${CMAKE_INSTALL_INCLUDEDIR}/gridbridge")
set(package "${CMAKE_INSTALL_LIBDIR}/cmake/gridbridge")
foreach(name base http gitlab)
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/bridge/${name}" DESTINATION "${headers}/bridge" COMPONENT library
    FILES_MATCHING PATTERN "*.h")
endforeach()
set(targets bridge_base bridge_http bridge_gitlab)
if(BRIDGE_FAKEGITLAB)
  list(APPEND targets bridge_fakegitlab)
  install(TARGETS fakegitlab RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT library)
  install(FILES "${PROJECT_BINARY_DIR}/fakegitlab/fakegitlab.man" RENAME fakegitlab.1
    DESTINATION "${CMAKE_INSTALL_MANDIR}/man1" COMPONENT library)
  foreach(name FakeGitLab Faults Types)
    install(FILES "${PROJECT_SOURCE_DIR}/tests/fakegitlab/${name}.h" DESTINATION "${headers}/tests/fakegitlab"
      COMPONENT library)
  endforeach()
endif()
install(TARGETS ${targets} EXPORT gridbridge
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library
  INCLUDES DESTINATION "${headers}")
install(EXPORT gridbridge NAMESPACE gridbridge:: FILE gridbridgeTargets.cmake DESTINATION "${package}"
  COMPONENT library)
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/gridbridgeConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/gridbridgeConfig.cmake" INSTALL_DESTINATION "${package}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/gridbridgeConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/gridbridgeConfig.cmake" "${PROJECT_BINARY_DIR}/gridbridgeConfigVersion.cmake"
  DESTINATION "${package}" COMPONENT library)
