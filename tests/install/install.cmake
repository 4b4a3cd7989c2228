# The library as other people get it, and the example of docs/library.md; included by tests/CMakeLists.txt.
add_test(NAME install.outside
  COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/install/outside.sh" "${CMAKE_COMMAND}" "${PROJECT_BINARY_DIR}"
    "${CMAKE_CURRENT_SOURCE_DIR}/install/consumer" "${CMAKE_CXX_FLAGS}")
add_executable(example_runner "${PROJECT_SOURCE_DIR}/docs/examples/runner.cpp")
target_link_libraries(example_runner PRIVATE bridge_flags gridbridge::gitlab)
add_test(NAME install.example
  COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/install/example.sh" $<TARGET_FILE:example_runner> $<TARGET_FILE:fakegitlab>)
set_tests_properties(install.outside install.example PROPERTIES LABELS install TIMEOUT 120)
