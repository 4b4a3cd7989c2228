# Tests of this room; included by tests/CMakeLists.txt, paths are relative to tests/.
add_executable(folder_agent unit/folder/FolderAgent.cpp)
target_link_libraries(folder_agent PRIVATE bridge_flags gridbridge::folder)

bridge_test(folder_test LABEL unit
  SOURCES unit/folder/AccountTest.cpp unit/folder/AgentFoldersTest.cpp
    unit/folder/HostileFolderTest.cpp unit/folder/JobFoldersTest.cpp
    unit/folder/ProcessTableTest.cpp unit/folder/StartedProcessTest.cpp
  DEPS gridbridge::folder)
target_sources(folder_test PRIVATE fakes/SyncedDisk.cpp)
target_compile_definitions(folder_test PRIVATE FOLDER_AGENT="$<TARGET_FILE:folder_agent>")
add_dependencies(folder_test folder_agent)
