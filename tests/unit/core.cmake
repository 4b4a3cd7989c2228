# Tests of this room; included by tests/CMakeLists.txt, paths are relative to tests/.
bridge_test(core_test LABEL unit
  SOURCES unit/core/AbsenceTest.cpp unit/core/AccessTest.cpp
    unit/core/HousekeeperTest.cpp
    unit/core/CapacityTest.cpp unit/core/ClaimerTest.cpp unit/core/ConversationTest.cpp
    unit/core/CutLogTest.cpp unit/core/FetchTest.cpp unit/core/LastSyncTest.cpp
    unit/core/CoreFixture.cpp unit/core/DecisionTest.cpp unit/core/DownloadTest.cpp unit/core/PowerFailureTest.cpp unit/core/ReconcilerTest.cpp
    fakes/DatabaseWatch.cpp fakes/SyncedDisk.cpp unit/core/RefusalTest.cpp unit/core/RequestTest.cpp
    unit/core/ResourceRulesTest.cpp
    unit/core/RestartTest.cpp unit/core/RunAsTest.cpp unit/core/ServerTest.cpp unit/core/SetClockTest.cpp
    unit/core/TogetherTest.cpp unit/core/TokenRotationTest.cpp unit/core/TraceTest.cpp
    unit/core/LongDownloadTest.cpp unit/core/LongUploadTest.cpp
    unit/core/UploadTest.cpp
    unit/core/VerdictTest.cpp unit/core/WaitingTest.cpp
  DEPS gridbridge::core SQLite::SQLite3 ZLIB::ZLIB)
