# One libFuzzer program for each parser of text from outside; alone in the preset `fuzz`, included by
# tests/CMakeLists.txt. What a program finds new it adds below the build folder, which only a run by hand keeps.
add_custom_target(fuzzers)
foreach(name Agent AgentAnswer Answer Claim Command Dependency Dump Glob Masker Process Proxy Queue Record Status Tarball Url)
  string(TOLOWER ${name} corpus)
  add_executable(fuzz_${corpus} fuzz/${name}Fuzz.cpp fuzz/Entry.cpp)
  target_link_libraries(fuzz_${corpus} PRIVATE bridge_flags gridbridge::payload gridbridge::folder gridbridge::http
    gridbridge::backend_arc gridbridge::backend_command gridbridge::backend_diracx gridbridge::backend_htcondor gridbridge::backend_local gridbridge::backend_slurm ZLIB::ZLIB)
  target_link_options(fuzz_${corpus} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzzers fuzz_${corpus})
  set(seeds "${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${corpus}")
  if(name STREQUAL Command)
    list(APPEND seeds "${CMAKE_CURRENT_SOURCE_DIR}/fixtures/command")
  endif()
  set(found "${CMAKE_CURRENT_BINARY_DIR}/fuzz/${corpus}")
  file(MAKE_DIRECTORY "${found}")
  add_test(NAME fuzz.${corpus}
    COMMAND fuzz_${corpus} -max_total_time=15 -timeout=10 -rss_limit_mb=2048 -max_len=8192
      -print_final_stats=1 "-artifact_prefix=${found}-" "${found}"
      ${seeds})
  set_tests_properties(fuzz.${corpus} PROPERTIES LABELS fuzz TIMEOUT 120)
endforeach()
