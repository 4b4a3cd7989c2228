# Real batch systems, each started once for its test program; included by tests/CMakeLists.txt. Where one is not
# installed its tests are skipped, with GRIDBRIDGE_REQUIRE_ENGINES=1 in the environment they fail.

# What waits longest begins first.
function(engine_properties test timeout)
  set_tests_properties(${test} PROPERTIES LABELS engine TIMEOUT ${timeout} SKIP_RETURN_CODE 77 COST ${timeout})
endfunction()

# engine_program(slurm Slurm MORE): the program, of the sources that each engine has and more.
function(engine_program name prefix)
  set(program ${name}_engine_test)
  set(backend ${name})
  if(name MATCHES "^(sge|oar)$")
    set(backend command)
  endif()
  add_executable(${program} engines/EngineMain.cpp engines/Engine.cpp engines/${prefix}Engine.cpp
    engines/${prefix}ContractTest.cpp ${ARGN})
  target_link_libraries(${program} PRIVATE bridge_flags backend_contract gridbridge::backend_${backend} GTest::gmock)
  target_precompile_headers(${program} REUSE_FROM tests_precompiled)
  string(TOUPPER ${name} upper)
  target_compile_definitions(${program} PRIVATE ${upper}_SH="${CMAKE_CURRENT_SOURCE_DIR}/engines/${name}.sh"
    FOLDER_AGENT="$<TARGET_FILE:folder_agent>" DIRACX_SLOTS=2 ARC_SLOTS=2)
  add_dependencies(${program} folder_agent)
  set_property(GLOBAL APPEND PROPERTY BRIDGE_TEST_SOURCES engines/${prefix}ContractTest.cpp ${ARGN})
endfunction()
# engine_test(slurm Slurm MORE): the same, and its test without faults.
function(engine_test name prefix)
  engine_program(${name} ${prefix} ${ARGN})
  add_test(NAME engine.${name} COMMAND ${name}_engine_test "--gtest_filter=-*Fault.*:*Accounting.*:*/transfer:*/spool")
  engine_properties(engine.${name} 600)
endfunction()

# engine_parts(slurm_engine_test "*Fault.*" engine.slurm.faults 2): what takes long, as that many tests, each with an
# engine of its own.
function(engine_parts program filter name parts)
  math(EXPR last "${parts} - 1")
  foreach(part RANGE ${last})
    set(test ${name}${part})
    add_test(NAME ${test} COMMAND "${CMAKE_COMMAND}" -E env GTEST_TOTAL_SHARDS=${parts} GTEST_SHARD_INDEX=${part}
      $<TARGET_FILE:${program}> --gtest_filter=${filter})
    engine_properties(${test} 600)
  endforeach()
endfunction()
function(engine_faults name parts)
  engine_parts(${name}_engine_test "*Fault.*" engine.${name}.faults ${parts})
endfunction()

engine_test(slurm Slurm engines/SlurmFaultTest.cpp engines/SlurmAccountingTest.cpp)
engine_faults(slurm 2)  # A controller that is away costs each command ten seconds.
add_test(NAME engine.slurm.accounting COMMAND "${CMAKE_COMMAND}" -E env SLURM_ENGINE_ACCOUNTING=1
  $<TARGET_FILE:slurm_engine_test> --gtest_filter=*Accounting.*)
engine_properties(engine.slurm.accounting 600)
engine_test(htcondor HTCondor engines/HTCondorFaultTest.cpp engines/HTCondorSpoolTest.cpp)
engine_faults(htcondor 3)  # A lost node is waited for.
foreach(files transfer spool)
  add_test(NAME engine.htcondor.${files} COMMAND htcondor_engine_test --gtest_filter=*/${files})
  engine_properties(engine.htcondor.${files} 600)
endforeach()
engine_test(sge Sge engines/SgeFaultTest.cpp)
engine_faults(sge 1)
engine_test(oar Oar engines/OarFaultTest.cpp)
engine_faults(oar 1)
engine_test(diracx Diracx engines/DiracFaultTest.cpp engines/DiracxFaultTest.cpp)
engine_faults(diracx 1)
# The oldest release that is known here answers otherwise in places.
add_test(NAME engine.diracx.old COMMAND "${CMAKE_COMMAND}" -E env DIRACX_ENGINE_RELEASE=0.3.0
  $<TARGET_FILE:diracx_engine_test> --gtest_filter=-*Fault.*)
engine_properties(engine.diracx.old 600)
# engine_demo(diracx): what a newcomer sees there; 69 = it is not installed, which fails its other tests where that is to
# fail.
function(engine_demo name)
  string(TOUPPER ${name} upper)
  add_test(NAME engine.${name}.demo COMMAND "${CMAKE_COMMAND}" -E env DEMO_BUILD=${CMAKE_BINARY_DIR}
    ${upper}_ENGINE_INSTALLED_ONLY=1 "${CMAKE_SOURCE_DIR}/deploy/demo.sh" ${name})
  engine_properties(engine.${name}.demo 300)
  set_tests_properties(engine.${name}.demo PROPERTIES SKIP_RETURN_CODE 69)
endfunction()
engine_demo(diracx)

engine_program(arc Arc engines/ArcFaultTest.cpp)
engine_parts(arc_engine_test "-*Fault.*" engine.arc 3)  # Each job takes A-REX some seconds.
engine_faults(arc 1)
engine_demo(arc)

engine_program(diraccli DiracCli engines/DiracFaultTest.cpp engines/DiracCliFaultTest.cpp)
engine_parts(diraccli_engine_test "-*Fault.*" engine.diraccli 2)  # Each genuine command takes a second of a processor.
engine_faults(diraccli 1)
foreach(test 0 1 .faults0)  # Beside others they wait for a processor.
  engine_properties(engine.diraccli${test} 1200)
endforeach()

# Container runtimes: jobs of the local backend in them.
add_executable(container_engine_test engines/EngineMain.cpp engines/Engine.cpp engines/ContainerEngine.cpp
  engines/ContainerEngineTest.cpp engines/ApptainerEngineTest.cpp e2e/LocalBackend.cpp e2e/Program.cpp e2e/Service.cpp)
target_link_libraries(container_engine_test PRIVATE bridge_flags gridbridge::fakegitlab GTest::gmock)
target_precompile_headers(container_engine_test REUSE_FROM tests_precompiled)
target_compile_definitions(container_engine_test PRIVATE GRIDBRIDGE_EXECUTABLE="$<TARGET_FILE:gridbridge>"
  CONTAINER_SH="${CMAKE_CURRENT_SOURCE_DIR}/engines/container.sh" CONTAINER_APPTAINER="1")
add_dependencies(container_engine_test gridbridge)
add_test(NAME engine.container COMMAND container_engine_test)
engine_properties(engine.container 600)
set_property(GLOBAL APPEND PROPERTY BRIDGE_TEST_SOURCES engines/ContainerEngineTest.cpp
  engines/ApptainerEngineTest.cpp)

# Grids: that the scripts start them, that a job goes through, and that what is to go wrong does.
foreach(arguments "diracx 0.7.0" "diracx 0.3.0" faults arc)
  string(REPLACE " " "-" name "${arguments}")
  separate_arguments(arguments)
  add_test(NAME engine.grids.${name} COMMAND python3 "${CMAKE_CURRENT_SOURCE_DIR}/engines/grids_test.py" ${arguments})
  engine_properties(engine.grids.${name} 300)
endforeach()

# engine_service(slurm Slurm 3 MORE): the real executable on it; with faults, as that many tests, or none; with many jobs;
# while all that there is is killed.
function(engine_service name prefix parts)
  set(program ${name}_service_test)
  set(tests engines/EngineServiceTest.cpp engines/EngineLoadTest.cpp engines/EngineStormTest.cpp
    engines/${prefix}ServiceTest.cpp ${ARGN})
  add_executable(${program} engines/EngineMain.cpp engines/Engine.cpp engines/${prefix}Engine.cpp
    engines/EngineBackend.cpp engines/EngineService.cpp engines/ContainerEngine.cpp e2e/Program.cpp e2e/Service.cpp
    ${tests})
  target_link_libraries(${program} PRIVATE bridge_flags gridbridge::fakegitlab GTest::gmock)
  target_precompile_headers(${program} REUSE_FROM tests_precompiled)
  string(TOUPPER ${name} upper)
  target_compile_definitions(${program} PRIVATE ${upper}_SH="${CMAKE_CURRENT_SOURCE_DIR}/engines/${name}.sh"
    GRIDBRIDGE_EXECUTABLE="$<TARGET_FILE:gridbridge>" DIRACX_SLOTS=32 ARC_SLOTS=32
    CONTAINER_SH="${CMAKE_CURRENT_SOURCE_DIR}/engines/container.sh" CONTAINER_APPTAINER="")
  add_dependencies(${program} gridbridge)
  set(suites Service Load Storm)
  set(but "")
  if(name STREQUAL diracx)
    # Its faults and its storm show what is left out; each takes half a minute. Its load is for a person, see the source.
    set(suites Service Storm)
    set(but ":-*AnAdministratorsRemoval*:*ServiceAndQueueAreKilled*")
  elseif(name STREQUAL arc)
    # Its load and its storm are for a person; what is left out takes half a minute, and its own tests show it.
    set(suites Service)
    set(but ":-*AnAdministratorsRemoval*:*ACancelInGitLab*")
  endif()
  foreach(suite ${suites})
    string(TOLOWER engine.${name}.${suite} test)
    add_test(NAME ${test} COMMAND ${program} "--gtest_filter=Engine${suite}*${but}")
    engine_properties(${test} 600)
  endforeach()
  if(parts)
    engine_parts(${program} "EngineOutcomes*" engine.${name}.outcomes ${parts})
  endif()
  set_property(GLOBAL APPEND PROPERTY BRIDGE_TEST_SOURCES ${tests})
endfunction()

set(of_schedulers engines/EngineServiceFaultTest.cpp engines/EngineServiceNodeTest.cpp)
engine_service(slurm Slurm 3 ${of_schedulers})
engine_service(htcondor HTCondor 3 ${of_schedulers})
engine_service(diracx Diracx 1 engines/DiracxBadInputTest.cpp engines/DiracxLiveTest.cpp)
target_sources(diracx_service_test PRIVATE fakes/TestCertificate.cpp)
target_link_libraries(diracx_service_test PRIVATE OpenSSL::Crypto)
engine_service(arc Arc 0)

# engine_conformance(slurm Slurm 3): the conformance cases of jobs, of how they end and of what they leave, on it; as that
# many tests. After a node's failure the local backend's own files are changed, so that one is not among them.
function(engine_conformance name prefix parts)
  set(program ${name}_conformance_test)
  add_executable(${program} engines/EngineMain.cpp engines/Engine.cpp engines/${prefix}Engine.cpp
    engines/EngineBackend.cpp e2e/Program.cpp e2e/Service.cpp)
  target_link_libraries(${program} PRIVATE bridge_flags conformance_cases gridbridge::fakegitlab GTest::gmock)
  target_precompile_headers(${program} REUSE_FROM tests_precompiled)
  string(TOUPPER ${name} upper)
  target_compile_definitions(${program} PRIVATE ${upper}_SH="${CMAKE_CURRENT_SOURCE_DIR}/engines/${name}.sh"
    GRIDBRIDGE_EXECUTABLE="$<TARGET_FILE:gridbridge>")
  add_dependencies(${program} gridbridge)
  set(cases "")
  foreach(case 0 10 11 12 13 14 15 39 4 5 61 63 64 65 66 67 68 69 7)
    list(APPEND cases "*.Case${case}*")
  endforeach()
  list(JOIN cases ":" cases)
  engine_parts(${program} "${cases}:-*.Case52NodeFailure*" engine.${name}.conformance ${parts})
endfunction()

engine_conformance(slurm Slurm 3)
engine_conformance(htcondor HTCondor 3)
