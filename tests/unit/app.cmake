# Tests of this room; included by tests/CMakeLists.txt, paths are relative to tests/.
bridge_test(app_test LABEL unit
  SOURCES unit/app/ConfigTest.cpp unit/app/ConfigErrorTest.cpp unit/app/ConfigurationPageTest.cpp
  DEPS gridbridge::app)
target_compile_definitions(app_test PRIVATE BRIDGE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
