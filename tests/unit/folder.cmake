# Tests of this room; included by tests/CMakeLists.txt, paths are relative to tests/.
bridge_test(folder_test LABEL unit
  SOURCES unit/folder/AccountTest.cpp unit/folder/DirectFoldersTest.cpp
    unit/folder/HostileFolderTest.cpp unit/folder/ProcessTableTest.cpp
    unit/folder/StartedProcessTest.cpp
  DEPS gridbridge::folder)
