# The real executable against the stand-in GitLab; included by tests/CMakeLists.txt.
add_test(NAME install.for_operators COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/e2e/install.sh" "${CMAKE_BINARY_DIR}")
set_tests_properties(install.for_operators PROPERTIES LABELS install TIMEOUT 60)

add_test(NAME e2e.job_files COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/jobs.sh" "${CMAKE_BINARY_DIR}")
set_tests_properties(e2e.job_files PROPERTIES LABELS e2e TIMEOUT 600 ${answers_fixture})

# Cases that a job has wherever it runs: engines.cmake has them run on real batch systems as well.
set(cases e2e/ArtifactEndToEndTest.cpp e2e/DependencyTest.cpp e2e/GitTest.cpp e2e/LifeTest.cpp e2e/RecoveryTest.cpp
  e2e/ScriptTest.cpp)
add_library(conformance_cases OBJECT ${cases})
target_link_libraries(conformance_cases PUBLIC bridge_flags gridbridge::fakegitlab GTest::gmock)
target_precompile_headers(conformance_cases REUSE_FROM tests_precompiled)
set_property(GLOBAL APPEND PROPERTY BRIDGE_TEST_SOURCES ${cases})

bridge_test(e2e_test LABEL e2e TIMEOUT 300
  SOURCES e2e/AccountTest.cpp e2e/BadInputTest.cpp e2e/CheckTest.cpp e2e/CommandsTest.cpp
    e2e/BackupTest.cpp e2e/CacheTest.cpp e2e/ContainerEndToEndTest.cpp e2e/CrashTest.cpp e2e/DiskTest.cpp e2e/HostileAccountTest.cpp
    e2e/HostileArchiveTest.cpp e2e/HostileFilesTest.cpp e2e/HostileStepsTest.cpp e2e/HostileTest.cpp
    e2e/LogTest.cpp e2e/LongPollTest.cpp e2e/NotifyTest.cpp e2e/OperationTest.cpp
    e2e/ProjectAccountTest.cpp e2e/ProtocolTest.cpp e2e/ProxyTest.cpp e2e/PowerLossTest.cpp
    e2e/RegisterTest.cpp e2e/ResourceTest.cpp e2e/RunnerFileTest.cpp e2e/ServersTest.cpp e2e/SimulatedTest.cpp e2e/SiteTest.cpp
    e2e/TlsTest.cpp e2e/TokenTest.cpp
  DEPS conformance_cases gridbridge::fakegitlab Poco::Net OpenSSL::Crypto ZLIB::ZLIB)
target_sources(e2e_test PRIVATE e2e/LocalBackend.cpp e2e/Service.cpp e2e/Program.cpp fakes/TestCertificate.cpp)
target_compile_definitions(e2e_test PRIVATE GRIDBRIDGE_EXECUTABLE="$<TARGET_FILE:gridbridge>"
  REGISTER_RUNNER="$<TARGET_FILE:register-runner>" GRIDBRIDGE_SOURCE="${PROJECT_SOURCE_DIR}")
add_dependencies(e2e_test gridbridge register-runner)
