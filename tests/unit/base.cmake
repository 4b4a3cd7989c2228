# Tests of this room; included by tests/CMakeLists.txt, paths are relative to tests/.
bridge_test(base_test LABEL unit
  SOURCES unit/base/ClockTest.cpp unit/base/LaneTest.cpp unit/base/ProcessTest.cpp
    unit/base/ReplaceFileTest.cpp unit/base/SecretTest.cpp
  DEPS gridbridge::base)
