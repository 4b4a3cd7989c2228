# Tests of this room; included by tests/CMakeLists.txt, paths are relative to tests/.
bridge_test(gitlab_test LABEL unit
  SOURCES unit/gitlab/Crc32Test.cpp unit/gitlab/MaskerTest.cpp
  DEPS gridbridge::gitlab)
