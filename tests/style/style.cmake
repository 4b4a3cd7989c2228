# House rules that a command can check; included by tests/CMakeLists.txt.
foreach(rule accounts decide_is_pure effects file_length function_length layers named_tests no_direct_clock shown_code)
  add_test(NAME style.${rule}
    COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/style/${rule}.sh" "${PROJECT_SOURCE_DIR}")
  add_test(NAME style.${rule}.can_fail
    COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/style/self_check.sh" "${CMAKE_CURRENT_SOURCE_DIR}/style" ${rule})
  set_tests_properties(style.${rule} style.${rule}.can_fail PROPERTIES LABELS style TIMEOUT 30)
endforeach()
