# Tests of this room; included by tests/CMakeLists.txt, paths are relative to tests/.
bridge_test(store_test LABEL unit
  SOURCES unit/store/JobReaderTest.cpp unit/store/JobStoreCrashTest.cpp unit/store/JobStoreLockTest.cpp
          unit/store/JobStoreSyncTest.cpp unit/store/JobStoreTest.cpp unit/store/MigrationsTest.cpp unit/store/SchemaTest.cpp
          unit/store/RunnerTokensTest.cpp unit/store/SealingKeyTest.cpp
  DEPS gridbridge::store SQLiteCpp)
target_sources(store_test PRIVATE fakes/SyncedDisk.cpp)
target_compile_definitions(store_test PRIVATE "GRIDBRIDGE_SCHEMA_README=\"${PROJECT_SOURCE_DIR}/schema/README.md\"")
