# The install script is made of one file per subject, in the order of their numbers.
file(GLOB SQL_PARTS CONFIGURE_DEPENDS sql/[0-9]*.sql)
list(SORT SQL_PARTS)
file(GLOB SQL_FORMATS CONFIGURE_DEPENDS sql/formats/*.json)
list(SORT SQL_FORMATS)
set(INSTALL_SCRIPT ${CMAKE_BINARY_DIR}/pg_reconcile--${PROJECT_VERSION}.sql)
add_custom_command(
  OUTPUT ${INSTALL_SCRIPT}
  COMMAND ${CMAKE_COMMAND} -D "PARTS=${SQL_PARTS}" -D "FORMATS=${SQL_FORMATS}" -D OUTPUT=${INSTALL_SCRIPT} -D VERSION=${PROJECT_VERSION}
          -P ${CMAKE_SOURCE_DIR}/cmake/ConcatenateSql.cmake
  DEPENDS ${SQL_PARTS} ${SQL_FORMATS} ${CMAKE_SOURCE_DIR}/cmake/ConcatenateSql.cmake
  VERBATIM)
add_custom_target(install_script ALL DEPENDS ${INSTALL_SCRIPT})
file(GLOB SQL_UPDATES CONFIGURE_DEPENDS sql/updates/*.sql)
install(FILES ${CMAKE_SOURCE_DIR}/pg_reconcile.control ${INSTALL_SCRIPT} ${SQL_UPDATES}
        DESTINATION ${PG_SHAREDIR}/extension)
