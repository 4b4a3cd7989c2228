# Real batch systems, each started once for its test program; included by tests/CMakeLists.txt. Where one is not
# installed its tests are skipped, with GRIDBRIDGE_REQUIRE_ENGINES=1 in the environment they fail.
add_executable(slurm_engine_test engines/SlurmMain.cpp engines/SlurmEngine.cpp engines/SlurmContractTest.cpp
  engines/SlurmFaultTest.cpp)
target_link_libraries(slurm_engine_test PRIVATE bridge_flags backend_contract gridbridge::backend_slurm GTest::gmock)
target_precompile_headers(slurm_engine_test REUSE_FROM tests_precompiled)
target_compile_definitions(slurm_engine_test PRIVATE SLURM_SH="${CMAKE_CURRENT_SOURCE_DIR}/engines/slurm.sh"
  FOLDER_AGENT="$<TARGET_FILE:folder_agent>")
add_dependencies(slurm_engine_test folder_agent)
add_test(NAME engine.slurm COMMAND slurm_engine_test --gtest_filter=-SlurmFault.*)
set(tests engine.slurm)
foreach(part 0 1)  # A controller that is away costs each command ten seconds.
  add_test(NAME engine.slurm.faults${part} COMMAND "${CMAKE_COMMAND}" -E env GTEST_TOTAL_SHARDS=2 GTEST_SHARD_INDEX=${part}
    $<TARGET_FILE:slurm_engine_test> --gtest_filter=SlurmFault.*)
  list(APPEND tests engine.slurm.faults${part})
endforeach()
set_tests_properties(${tests} PROPERTIES LABELS engine TIMEOUT 600 SKIP_RETURN_CODE 77)
set_property(GLOBAL APPEND PROPERTY BRIDGE_TEST_SOURCES engines/SlurmContractTest.cpp engines/SlurmFaultTest.cpp)
