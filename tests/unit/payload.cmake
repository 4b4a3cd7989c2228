# Tests of this room; included by tests/CMakeLists.txt, paths are relative to tests/.
bridge_test(payload_test LABEL unit
  SOURCES unit/payload/ArtifactPlanTest.cpp unit/payload/ArtifactsTest.cpp unit/payload/CacheKeyTest.cpp unit/payload/CachePathsTest.cpp unit/payload/CacheStageTest.cpp
    unit/payload/CollectionTest.cpp unit/payload/ContainerTest.cpp unit/payload/DependencyTest.cpp unit/payload/DownloadStageTest.cpp unit/payload/ExpansionTest.cpp unit/payload/GitJobs.cpp unit/payload/GitSourcesTest.cpp
    unit/payload/GlobTest.cpp unit/payload/HostileDependencyTest.cpp unit/payload/HostileTarballTest.cpp unit/payload/JobScriptTest.cpp
    unit/payload/ReportsTest.cpp unit/payload/ScriptLimitsTest.cpp
    unit/payload/ScratchTest.cpp unit/payload/ScriptRun.cpp unit/payload/SettingsTest.cpp unit/payload/SiteTest.cpp unit/payload/StatusTest.cpp
    unit/payload/StepScriptTest.cpp unit/payload/SubmodulesTest.cpp unit/payload/VariablesTest.cpp
  DEPS gridbridge::payload gridbridge::fakegitlab LibArchive::LibArchive ZLIB::ZLIB)
