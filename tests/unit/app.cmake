# Tests of this room; included by tests/CMakeLists.txt, paths are relative to tests/.
bridge_test(app_test LABEL unit
  SOURCES unit/app/CacheConfigTest.cpp unit/app/CommandLineTest.cpp unit/app/ConfigBackendTest.cpp unit/app/ConfigErrorTest.cpp unit/app/ConfigLiveLogTest.cpp unit/app/ConfigTest.cpp unit/app/ConfigTlsTest.cpp unit/app/ConfigurationPageTest.cpp
    unit/app/FeaturesTest.cpp
    unit/app/JobNameTest.cpp unit/app/JobTextTest.cpp unit/app/LogTest.cpp
    unit/app/ManualTest.cpp
    unit/app/ReloadTest.cpp
    unit/app/ServiceCommandsTest.cpp unit/app/StateFolderTest.cpp unit/app/StateLockTest.cpp
    unit/app/TextTest.cpp unit/app/TraceFollowerTest.cpp
  DEPS gridbridge::app Poco::JSON spdlog::spdlog OpenSSL::Crypto)
target_sources(app_test PRIVATE fakes/TestCertificate.cpp)
target_compile_definitions(app_test PRIVATE BRIDGE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
