# Tests of this room; included by tests/CMakeLists.txt, paths are relative to tests/.

# An object library: from an archive the linker would drop the suite's registrations.
add_library(backend_contract OBJECT contract/BackendContract.cpp)
target_link_libraries(backend_contract PUBLIC bridge_flags gridbridge::backends_api GTest::gtest)

bridge_test(local_contract_test LABEL contract
  SOURCES contract/LocalBackendContractTest.cpp
  DEPS backend_contract gridbridge::backend_local)
