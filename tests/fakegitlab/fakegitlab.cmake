# The stand-in GitLab: library, program and their tests; included by tests/CMakeLists.txt.
add_library(bridge_fakegitlab STATIC
  fakegitlab/ArtifactEndpoint.cpp
  fakegitlab/ClaimEndpoint.cpp
  fakegitlab/FailureReasons.cpp
  fakegitlab/FakeGitLab.cpp
  fakegitlab/Faults.cpp
  fakegitlab/JobAccess.cpp
  fakegitlab/JobFile.cpp
  fakegitlab/Params.cpp
  fakegitlab/Payload.cpp
  fakegitlab/PayloadVariables.cpp
  fakegitlab/Repositories.cpp
  fakegitlab/Router.cpp
  fakegitlab/RunnersEndpoint.cpp
  fakegitlab/Server.cpp
  fakegitlab/Spawn.cpp
  fakegitlab/State.cpp
  fakegitlab/Summary.cpp
  fakegitlab/TraceEndpoint.cpp
  fakegitlab/Types.cpp
  fakegitlab/UpdateEndpoint.cpp)
add_library(gridbridge::fakegitlab ALIAS bridge_fakegitlab)
target_link_libraries(bridge_fakegitlab
  PUBLIC gridbridge::base
  PRIVATE Poco::Net Poco::JSON Poco::Foundation tomlplusplus::tomlplusplus bridge_flags)

add_executable(fakegitlab fakegitlab/Main.cpp)
target_link_libraries(fakegitlab PRIVATE bridge_flags gridbridge::fakegitlab CLI11::CLI11)

bridge_test(fakegitlab_test LABEL contract
  SOURCES fakegitlab/ArtifactTest.cpp fakegitlab/ClaimTest.cpp fakegitlab/FaultTest.cpp
    fakegitlab/RunnersTest.cpp fakegitlab/TraceTest.cpp fakegitlab/UpdateTest.cpp
  DEPS gridbridge::fakegitlab Poco::Net Poco::JSON)
add_test(NAME fakegitlab.program
  COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/fakegitlab/program.sh" $<TARGET_FILE:fakegitlab>)
set_tests_properties(fakegitlab.program PROPERTIES LABELS e2e TIMEOUT 60)
