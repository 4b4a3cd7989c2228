# How every target of the project is made: its warnings, sanitizers and layer links.
find_package(Threads REQUIRED)
find_package(Poco 1.11 REQUIRED COMPONENTS Foundation Net NetSSL JSON Util)
find_package(spdlog REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(SQLiteCpp REQUIRED)
find_package(LibArchive REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(CLI11 REQUIRED)
find_package(tomlplusplus REQUIRED)

# With precompiled headers ccache works only when it may overlook macros that they might see.
find_program(BRIDGE_CCACHE ccache)
if(BRIDGE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime "${BRIDGE_CCACHE}")
  add_compile_options($<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
endif()

add_library(bridge_flags INTERFACE)
target_compile_features(bridge_flags INTERFACE cxx_std_20)
target_include_directories(bridge_flags INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_options(bridge_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-qual -Wformat=2 -Wimplicit-fallthrough
  $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond -Wduplicated-branches -Wlogical-op>
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)

# Global, so that the libraries are instrumented too. GCC says itself that these warnings are often wrong then.
if(BRIDGE_SANITIZE)
  add_compile_options(-fsanitize=${BRIDGE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer
    "$<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized;-Wno-array-bounds;-Wno-stringop-overflow>")
  add_link_options(-fsanitize=${BRIDGE_SANITIZE})
endif()

# What nearly every file includes, compiled once. It is used only where macros of the system's headers agree, so that all
# have those that Poco asks for.
add_compile_definitions($<TARGET_PROPERTY:Poco::Foundation,INTERFACE_COMPILE_DEFINITIONS>)
set(bridge_common_headers
  <algorithm> <chrono> <filesystem> <fstream> <functional> <map> <memory> <mutex> <optional> <sstream> <stop_token> <string>
  <string_view> <utility> <vector>)
add_library(bridge_precompiled OBJECT "${CMAKE_CURRENT_LIST_DIR}/Precompiled.cpp")
target_link_libraries(bridge_precompiled PRIVATE bridge_flags)
target_precompile_headers(bridge_precompiled PRIVATE ${bridge_common_headers})

# bridge_library(store SOURCES A.cpp DEPS gridbridge::base): one folder, one target, its layer's links only.
function(bridge_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(bridge_${name} STATIC ${ARG_SOURCES})
  add_library(gridbridge::${name} ALIAS bridge_${name})
  target_link_libraries(bridge_${name} PUBLIC ${ARG_DEPS}
    PRIVATE ${ARG_PRIVATE_DEPS} $<BUILD_INTERFACE:bridge_flags>)
  target_precompile_headers(bridge_${name} REUSE_FROM bridge_precompiled)
  target_compile_features(bridge_${name} PUBLIC cxx_std_20)
  target_include_directories(bridge_${name} PUBLIC "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>")
  set_target_properties(bridge_${name} PROPERTIES EXPORT_NAME ${name} OUTPUT_NAME gridbridge_${name})
endfunction()
