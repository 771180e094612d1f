/*
 * What the user wrote, as numbers and words; and numbers for the user.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mkdistrict.h"

/** Decimal digits with an optional fraction, times `unit`, without overflow. */
static bool scaled(const char *text, const char **end, double *value)
{
    size_t n = strspn(text, "0123456789.");
    char *stop;

    if (!isdigit((unsigned char)text[0]))
        return false;
    *value = strtod(text, &stop);
    *end = stop;
    return stop == text + n;
}

bool parse_size(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    const char *end, *unit;
    double value;

    if (!scaled(text, &end, &value))
        return false;
    if (*end) {
        unit = strchr(units, toupper((unsigned char)*end));
        if (!unit || (end[1] && strcmp(end + 1, "iB") != 0 && strcmp(end + 1, "B") != 0))
            return false;
        for (const char *p = units; p <= unit; p++)
            value *= 1024;
    }
    if (value >= 4e15)
        return false;
    *bytes = (uint64_t)value;
    return true;
}

bool parse_interval(const char *text, uint64_t *ns)
{
    const char *end;
    double value;

    if (strcmp(text, "never") == 0 || strcmp(text, "off") == 0 || strcmp(text, "0") == 0) {
        *ns = 0;
        return true;
    }
    if (!scaled(text, &end, &value))
        return false;
    if (strcmp(end, "ms") == 0)
        value *= 1e6;
    else if (strcmp(end, "s") == 0 || *end == 0)
        value *= 1e9;
    else if (strcmp(end, "min") == 0 || strcmp(end, "m") == 0)
        value *= 60e9;
    else if (strcmp(end, "h") == 0)
        value *= 3600e9;
    else
        return false;
    if (value < 1e7 || value > 1e18)
        return false;
    *ns = (uint64_t)value;
    return true;
}

const char *split_words(const char *text, char *to, size_t size)
{
    size_t n = 0;
    bool word = false;
    char quote = 0;

    for (const char *p = text; *p; p++) {
        if (n + 3 > size)
            return "it is too long";
        if (!quote && isspace((unsigned char)*p)) {
            if (word)
                to[n++] = 0;
            word = false;
            continue;
        }
        word = true;
        if (quote ? *p == quote : *p == '\'' || *p == '"') {
            quote = quote ? 0 : *p;
            continue;
        }
        if (*p == '\\' && quote != '\'') {
            if (!p[1])
                return "it ends with a backslash";
            if (!quote || p[1] == '"' || p[1] == '\\')
                p++;
        }
        to[n++] = *p;
    }
    if (quote)
        return "a quote is not closed";
    if (word)
        to[n++] = 0;
    if (n == 0 || to[0] == 0)
        return "there is no command in it";
    to[n] = 0;
    return NULL;
}

const char *bad_name(const char *name)
{
    if (!name[0])
        return "it is empty";
    if (strlen(name) >= DISTRICT_NAME_MAX)
        return "it is longer than 31 characters";
    if (!isalnum((unsigned char)name[0]))
        return "it must begin with a letter or digit";
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("-_.", *p))
            return "only letters, digits, '-', '_' and '.' may be in it";
    return NULL;
}

const char *show_bytes(uint64_t bytes, char buf[32])
{
    static const char *const unit[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double v = (double)bytes;
    unsigned i = 0;

    while (v >= 1024 && i < 5) {
        v /= 1024;
        i++;
    }
    snprintf(buf, 32, i ? "%.1f %s" : "%.0f %s", v, unit[i]);
    return buf;
}
