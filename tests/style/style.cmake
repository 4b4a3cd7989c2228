# House rules that a command can check; included by tests/CMakeLists.txt.
foreach(rule no_direct_clock file_length layers)
  add_test(NAME style.${rule}
    COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/style/${rule}.sh" "${PROJECT_SOURCE_DIR}")
  set_tests_properties(style.${rule} PROPERTIES LABELS style TIMEOUT 10)
endforeach()
