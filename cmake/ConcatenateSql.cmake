file(WRITE ${OUTPUT} "/* pg_reconcile ${VERSION}: made from sql/ */\n\\echo Use \"CREATE EXTENSION pg_reconcile\" to load this file. \\quit\n")

# The shipped file formats: one document a file, stored as version 1.
set(format_rows "")
foreach(document ${FORMATS})
  get_filename_component(file_name ${document} NAME)
  string(REGEX REPLACE "\\.json$" "" format "${file_name}")
  file(READ ${document} json)
  string(APPEND format_rows "INSERT INTO reconcile.file_format (format, version, document, built_in)\nVALUES ('${format}', 1, $json$${json}$json$, true);\n")
endforeach()

foreach(part ${PARTS})
  file(READ ${part} text)
  string(REPLACE "-- @FORMAT_DOCUMENTS@ (cmake/ConcatenateSql.cmake puts sql/formats/*.json here)\n" "${format_rows}" text "${text}")
  file(APPEND ${OUTPUT} "${text}\n")
endforeach()
