/*
 * A native program's failed assertion, in a test of its parts on the host.
 */
#include <check.h>
#include <stdlib.h>
#include <bailiwick/runtime.h>

void bw_panic(const char *file, int line, const char *what)
{
    ck_abort_msg("%s:%d: %s", file, line, what);
    abort();
}
