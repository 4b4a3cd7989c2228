# Tests of this room; included by tests/CMakeLists.txt, paths are relative to tests/.
bridge_test(gitlab_test LABEL unit
  SOURCES unit/gitlab/JobDescriptionTest.cpp unit/gitlab/MaskerTest.cpp
    unit/gitlab/RedirectTest.cpp unit/gitlab/RunnerApiTest.cpp unit/gitlab/TokenApiTest.cpp unit/gitlab/TokensTest.cpp
  DEPS gridbridge::gitlab)
bridge_test(gitlab_http_test LABEL contract
  SOURCES unit/gitlab/ClaimHttpTest.cpp unit/gitlab/DownloadHttpTest.cpp unit/gitlab/JobHttpTest.cpp
    unit/gitlab/JobTest.cpp unit/gitlab/RunnerTest.cpp unit/gitlab/TokenHttpTest.cpp
  DEPS gridbridge::gitlab gridbridge::fakegitlab Poco::Net Poco::JSON)
target_compile_definitions(gitlab_http_test PRIVATE BRIDGE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
