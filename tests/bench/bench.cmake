# Programs that measure, not tests; included by tests/CMakeLists.txt. `bench` prints the whole table.
add_executable(masker_bench EXCLUDE_FROM_ALL bench/MaskerBench.cpp)
target_link_libraries(masker_bench PRIVATE bridge_flags gridbridge::gitlab)

add_executable(service_bench bench/ServiceBench.cpp bench/ArtifactBench.cpp bench/Bench.cpp e2e/LocalBackend.cpp e2e/Service.cpp)
target_link_libraries(service_bench PRIVATE bridge_flags gridbridge::fakegitlab SQLiteCpp
  GTest::gtest)
target_compile_definitions(service_bench PRIVATE
  GRIDBRIDGE_EXECUTABLE="$<TARGET_FILE:gridbridge>")
add_dependencies(service_bench gridbridge)

add_custom_target(bench COMMAND masker_bench COMMAND service_bench USES_TERMINAL)

# Whether the programs work, not how fast.
add_test(NAME bench.works COMMAND service_bench --small)
set_tests_properties(bench.works PROPERTIES LABELS bench TIMEOUT 300)
