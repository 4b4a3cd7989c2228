# Writes the SQL files of a folder as C++ initialisers, so that the program needs no files of its own to migrate:
#   cmake -DFOLDER=schema/migrations -DOUTPUT=Migrations.inc -P EmbedMigrations.cmake
# Files are named NNNN_words.sql and counted from 0001 without a gap.
file(GLOB files RELATIVE "${FOLDER}" "${FOLDER}/*.sql")
list(SORT files)
set(version 0)
set(text "")
foreach(file IN LISTS files)
  math(EXPR version "${version} + 1")
  string(REGEX MATCH "^[0-9]+" number "${file}")
  string(REGEX REPLACE "^0+" "" number "${number}")
  if(NOT number STREQUAL version)
    message(FATAL_ERROR "${FOLDER}/${file}: migration ${version} is expected here")
  endif()
  file(READ "${FOLDER}/${file}" sql)
  string(APPEND text "{${version}, R\"gbsql(${sql})gbsql\"},\n")
endforeach()
file(WRITE "${OUTPUT}" "${text}")
