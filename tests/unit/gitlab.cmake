# Tests of this room; included by tests/CMakeLists.txt, paths are relative to tests/.
bridge_test(gitlab_test LABEL unit
  SOURCES unit/gitlab/JobDescriptionTest.cpp unit/gitlab/MaskerTest.cpp
    unit/gitlab/RunnerApiTest.cpp unit/gitlab/TokensTest.cpp
  DEPS gridbridge::gitlab)
