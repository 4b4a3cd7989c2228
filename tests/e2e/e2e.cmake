# Tests of this room; included by tests/CMakeLists.txt, paths are relative to tests/.
