# One ctest per source file, so that a failure names its subject.
foreach(source ${UNIT_SOURCES})
  get_filename_component(name ${source} NAME_WE)
  if(NOT name STREQUAL "main")
    add_test(NAME unit_${name} COMMAND unit_tests --source-file=*${name}.cc --no-intro --no-version)
  endif()
endforeach()
