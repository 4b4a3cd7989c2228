# Tests of this room; included by tests/CMakeLists.txt, paths are relative to tests/.

# An object library: from an archive the linker would drop the suite's registrations.
add_library(backend_contract OBJECT contract/BackendContract.cpp contract/BackendContractFixture.cpp)
target_link_libraries(backend_contract PUBLIC bridge_flags gridbridge::backends_api GTest::gtest)

add_executable(local_service contract/LocalService.cpp)
target_link_libraries(local_service PRIVATE bridge_flags gridbridge::backend_local GTest::gtest)

bridge_test(local_contract_test LABEL contract
  SOURCES contract/LocalBackendContractTest.cpp contract/LocalBackendTest.cpp
    contract/LocalRestartTest.cpp
  DEPS backend_contract gridbridge::backend_local)
target_compile_definitions(local_contract_test PRIVATE
  LOCAL_SERVICE="$<TARGET_FILE:local_service>")
target_compile_definitions(local_service PRIVATE FOLDER_AGENT="$<TARGET_FILE:folder_agent>")
target_compile_definitions(local_contract_test PRIVATE FOLDER_AGENT="$<TARGET_FILE:folder_agent>")
add_dependencies(local_contract_test local_service folder_agent)

bridge_test(simulated_contract_test LABEL contract
  SOURCES contract/SimulatedBackendContractTest.cpp contract/SimulatedBackendTest.cpp
  DEPS backend_contract gridbridge::backend_simulated gridbridge::payload)

# The worked example of docs/backend-contract.md.
bridge_test(example_contract_test LABEL contract
  SOURCES contract/ExampleBackendTest.cpp
  DEPS backend_contract)
target_compile_definitions(example_contract_test PRIVATE FOLDER_AGENT="$<TARGET_FILE:folder_agent>"
  EXAMPLEQ="${CMAKE_CURRENT_SOURCE_DIR}/contract/exampleq.sh")
add_dependencies(example_contract_test folder_agent)

bridge_test(backends_test LABEL unit
  SOURCES unit/backends/LocalRecordTest.cpp unit/backends/LocalRecordsTest.cpp
    unit/backends/SchedulerBackendTest.cpp unit/backends/SchedulerCommandsTest.cpp unit/backends/SharedFolderTest.cpp unit/backends/SlurmCommandsTest.cpp
    unit/backends/SlurmParseTest.cpp unit/backends/SlurmAnswersTest.cpp unit/backends/CommandParseTest.cpp
    unit/backends/HTCondorBackendTest.cpp unit/backends/HTCondorCommandsTest.cpp unit/backends/HTCondorFollowerTest.cpp
    unit/backends/HTCondorParseTest.cpp unit/backends/HTCondorAnswersTest.cpp
    unit/backends/DiracCliBackendTest.cpp unit/backends/DiracCliParseTest.cpp unit/backends/DiracGuardTest.cpp unit/backends/DiracProxyTest.cpp
    unit/backends/DiracxBackendTest.cpp unit/backends/DiracxClientTest.cpp unit/backends/DiracxJdlTest.cpp unit/backends/DiracxParseTest.cpp
    unit/backends/DiracxSandboxTest.cpp unit/backends/DiracxStatesTest.cpp
    unit/backends/ArcAnswersTest.cpp unit/backends/ArcBackendTest.cpp unit/backends/ArcFetchTest.cpp unit/backends/ArcHostileTest.cpp unit/backends/ArcParseTest.cpp
    unit/backends/ArcPatienceTest.cpp unit/backends/ArcStatesTest.cpp unit/backends/ArcTransportTest.cpp
  DEPS gridbridge::backend_arc gridbridge::backend_diraccli gridbridge::backend_diracx gridbridge::backend_htcondor gridbridge::backend_local gridbridge::backend_slurm gridbridge::backend_command)
target_sources(backends_test PRIVATE fakes/SyncedDisk.cpp)
target_compile_definitions(backends_test PRIVATE SLURM_FIXTURES="${CMAKE_CURRENT_SOURCE_DIR}/fixtures/slurm"
  HTCONDOR_FIXTURES="${CMAKE_CURRENT_SOURCE_DIR}/fixtures/htcondor" COMMAND_FIXTURES="${CMAKE_CURRENT_SOURCE_DIR}/fixtures/command"
  ARC_FIXTURES="${CMAKE_CURRENT_SOURCE_DIR}/fixtures/arc")

add_executable(dirac_tokens_once unit/backends/DiracTokensOnce.cpp)
target_link_libraries(dirac_tokens_once PRIVATE bridge_flags gridbridge::backend_diracx)

bridge_test(dirac_tokens_test LABEL contract
  SOURCES unit/backends/DiracTokensTest.cpp unit/backends/DiracCredentialFileTest.cpp
    unit/backends/DiracTokensHttpTest.cpp
  DEPS gridbridge::backend_diracx Poco::Net)
target_compile_definitions(dirac_tokens_test PRIVATE
  DIRAC_TOKENS_ONCE="$<TARGET_FILE:dirac_tokens_once>")
add_dependencies(dirac_tokens_test dirac_tokens_once)
