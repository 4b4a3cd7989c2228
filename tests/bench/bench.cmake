# Programs that measure, not tests: built and run on demand; included by tests/CMakeLists.txt.
add_executable(masker_bench EXCLUDE_FROM_ALL bench/MaskerBench.cpp)
target_link_libraries(masker_bench PRIVATE bridge_flags gridbridge::gitlab)
