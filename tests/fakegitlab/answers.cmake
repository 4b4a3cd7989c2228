# The table of all answers that the stand-in GitLab gave in a run of the tests; included by tests/CMakeLists.txt.
set(answers_folder "${CMAKE_BINARY_DIR}/answers")
set(answers_fixture FIXTURES_REQUIRED answers ENVIRONMENT "FAKEGITLAB_ANSWERS=${answers_folder}")
add_test(NAME answers.begin COMMAND "${CMAKE_COMMAND}" -E rm -rf "${answers_folder}")
add_test(NAME answers.folder COMMAND "${CMAKE_COMMAND}" -E make_directory "${answers_folder}")
add_test(NAME answers.table COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/fakegitlab/answers.sh"
  "${CMAKE_CURRENT_SOURCE_DIR}/fakegitlab/answers.txt" "${answers_folder}" "${CMAKE_CTEST_COMMAND}" "${CMAKE_BINARY_DIR}")
add_test(NAME answers.table.can_fail COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/fakegitlab/answers_check.sh")
set_tests_properties(answers.begin answers.folder answers.table answers.table.can_fail PROPERTIES
  LABELS style TIMEOUT 30)
set_tests_properties(answers.begin answers.folder PROPERTIES FIXTURES_SETUP answers)
set_tests_properties(answers.folder PROPERTIES DEPENDS answers.begin)
set_tests_properties(answers.table PROPERTIES FIXTURES_CLEANUP answers)

# Tests of programs, which bridge_test() does not see.
function(bridge_record_answers)
  get_property(programs DIRECTORY PROPERTY TESTS)
  foreach(test IN LISTS programs)
    get_test_property(${test} LABELS label)
    if(NOT label STREQUAL style)
      set_tests_properties(${test} PROPERTIES ${answers_fixture})
    endif()
  endforeach()
endfunction()
