/*
 * Access lists of what is published (bailiwick/link.h): names of districts with spaces between, or
 * "*".
 */
#ifndef BAILIWICK_ACCESS_H
#define BAILIWICK_ACCESS_H

#include <stdbool.h>
#include <string.h>

/** Whether an access list, as it was published, names a district. */
static inline bool access_allows(const char *access, const char *district)
{
    size_t length = strlen(district);

    while (*access) {
        size_t n = strcspn(access, " ");

        if ((n == 1 && *access == '*') ||
            (n == length && n > 0 && memcmp(access, district, n) == 0)) {
            return true;
        }
        access += n + strspn(access + n, " ");
    }
    return false;
}

#endif
