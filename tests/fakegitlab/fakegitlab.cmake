# Tests of the stand-in GitLab; included by tests/CMakeLists.txt.
bridge_test(fakegitlab_test LABEL contract
  SOURCES fakegitlab/ArtifactTest.cpp fakegitlab/ClaimTest.cpp fakegitlab/DownloadTest.cpp
    fakegitlab/FaultTest.cpp fakegitlab/JobFileTest.cpp fakegitlab/LfsTest.cpp fakegitlab/RunnersTest.cpp
    fakegitlab/TraceTest.cpp fakegitlab/UpdateTest.cpp
  DEPS gridbridge::fakegitlab LibArchive::LibArchive Poco::Net Poco::JSON)
add_test(NAME fakegitlab.program
  COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/fakegitlab/program.sh" $<TARGET_FILE:fakegitlab>)
set_tests_properties(fakegitlab.program PROPERTIES LABELS e2e TIMEOUT 60)
