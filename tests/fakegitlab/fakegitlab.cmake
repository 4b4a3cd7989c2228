# The stand-in GitLab: library, program and their tests; included by tests/CMakeLists.txt.
add_library(bridge_fakegitlab STATIC
  fakegitlab/ArtifactEndpoint.cpp
  fakegitlab/ClaimEndpoint.cpp
  fakegitlab/FailureReasons.cpp
  fakegitlab/FakeGitLab.cpp
  fakegitlab/Faults.cpp
  fakegitlab/JobAccess.cpp
  fakegitlab/Params.cpp
  fakegitlab/Payload.cpp
  fakegitlab/PayloadVariables.cpp
  fakegitlab/Repositories.cpp
  fakegitlab/Router.cpp
  fakegitlab/RunnersEndpoint.cpp
  fakegitlab/Server.cpp
  fakegitlab/Spawn.cpp
  fakegitlab/State.cpp
  fakegitlab/TraceEndpoint.cpp
  fakegitlab/Types.cpp
  fakegitlab/UpdateEndpoint.cpp)
add_library(gridbridge::fakegitlab ALIAS bridge_fakegitlab)
target_link_libraries(bridge_fakegitlab
  PUBLIC gridbridge::base
  PRIVATE Poco::Net Poco::JSON Poco::Foundation bridge_flags)
