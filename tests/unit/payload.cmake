# Tests of this room; included by tests/CMakeLists.txt, paths are relative to tests/.
bridge_test(payload_test LABEL unit
  SOURCES unit/payload/ScriptLimitsTest.cpp unit/payload/ScriptRun.cpp
    unit/payload/StepScriptTest.cpp unit/payload/VariablesTest.cpp
  DEPS gridbridge::payload)
