# Hardened, and every warning is an error.
function(reconcile_warnings target)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wconversion -Wsign-conversion
    -Wcast-align -Wnull-dereference -Wformat=2 -Wimplicit-fallthrough -Werror
    -fstack-protector-strong -fno-strict-aliasing -fwrapv
    # Two words joined into one wide store or load stall the processor, which the hashes would do at every step.
    -fno-tree-slp-vectorize)
  target_compile_definitions(${target} PRIVATE _GLIBCXX_ASSERTIONS)
  if(NOT PG_RECONCILE_SANITIZE AND NOT PG_RECONCILE_FUZZ)
    target_compile_definitions(${target} PRIVATE _FORTIFY_SOURCE=2)
  endif()
endfunction()
