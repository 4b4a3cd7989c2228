# Tests of this room; included by tests/CMakeLists.txt, paths are relative to tests/.
bridge_test(payload_test LABEL unit
  SOURCES unit/payload/ArtifactPlanTest.cpp unit/payload/ArtifactsTest.cpp unit/payload/BuildsDirTest.cpp unit/payload/CacheKeyTest.cpp unit/payload/CachePathsTest.cpp unit/payload/CacheStageTest.cpp
    unit/payload/CollectionTest.cpp unit/payload/ContainerTest.cpp unit/payload/DependencyTest.cpp unit/payload/DownloadStageTest.cpp unit/payload/ExpansionTest.cpp unit/payload/GitJobs.cpp unit/payload/GitSourcesTest.cpp
    unit/payload/GlobTest.cpp unit/payload/HostileDependencyTest.cpp unit/payload/HostileTarballTest.cpp unit/payload/ImageLoginTest.cpp unit/payload/JobScriptTest.cpp
    unit/payload/ReportsTest.cpp unit/payload/RoundTripTest.cpp unit/payload/ScriptLimitsTest.cpp
    unit/payload/ScriptRun.cpp unit/payload/SettingsTest.cpp unit/payload/SiteTest.cpp unit/payload/StatusTest.cpp
    unit/payload/StepScriptTest.cpp unit/payload/SubmodulesTest.cpp unit/payload/VariablesTest.cpp
  DEPS gridbridge::payload gridbridge::fakegitlab LibArchive::LibArchive ZLIB::ZLIB)

# Slow, since 4 GiB are packed: beside what measures, and with no sanitizer.
bridge_test(large_archive_test LABEL bench TIMEOUT 120 SOURCES unit/payload/LargeArchiveTest.cpp
  DEPS gridbridge::payload ZLIB::ZLIB)
