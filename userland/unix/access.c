/*
 * The access lists of the district's published sockets: /etc/district.allow. Pure.
 *
 *     # socket  districts that may connect to it
 *     chat      shop market
 *     *         bank
 *
 * The first line that names the socket, or "*", decides; "*" among the districts is everybody. A
 * socket that no line decides about may be connected to by nobody. Words are separated by blanks,
 * and what follows a # is a comment.
 */
#include "access.h"
#include <string.h>

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/** The next word of a line, which ends before `end`. @return its length, 0: there is none */
static size_t next_word(const char **at, const char *end)
{
    size_t n = 0;

    while (*at < end && blank(**at)) {
        (*at)++;
    }
    while (*at + n < end && !blank((*at)[n]) && (*at)[n] != '#') {
        n++;
    }
    return n;
}

static bool means(const char *word, size_t n, const char *what)
{
    return (n == 1 && *word == '*') || (n == strlen(what) && memcmp(word, what, n) == 0);
}

/** Behind the first word of a line: whether the district is among the others. */
static bool line_has(const char *at, const char *end, const char *district)
{
    for (size_t n; (n = next_word(&at, end)) > 0; at += n) {
        if (means(at, n, district)) {
            return true;
        }
    }
    return false;
}

bool access_allows(const char *lists, size_t length, const char *path, const char *district)
{
    const char *end = lists + length, *next;

    for (const char *line = lists; line < end; line = next) {
        const char *stop = memchr(line, '\n', (size_t)(end - line)), *at = line;
        size_t n;

        stop = stop ? stop : end;
        next = stop < end ? stop + 1 : end;
        n = next_word(&at, stop);
        if (n > 0 && means(at, n, path)) {
            return line_has(at + n, stop, district);
        }
    }
    return false;
}
