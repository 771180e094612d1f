/*
 * Words, times and sizes as people read and write them. Pure.
 */
#ifndef SHELL_FORMAT_H
#define SHELL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORMAT_SIZE 32u /* enough for each of these */

/** "0 ms", "250 ms", "3.2 s", "42 s", "3 min 5 s", "2 h 10 min", "5 d 3 h" */
const char *format_time(char buf[FORMAT_SIZE], uint64_t ns);
/** As format_time, with "850 ns" and "85 us" for short ones. */
const char *format_short_time(char buf[FORMAT_SIZE], uint64_t ns);
/** "0 KiB", "12 KiB", "1.5 MiB", "256 MiB", "2.0 GiB" */
const char *format_bytes(char buf[FORMAT_SIZE], uint64_t bytes);
/** A time, ns since 1970, as "2026-11-21 10:47:03". */
const char *format_date(char buf[FORMAT_SIZE], uint64_t ns);
/** Reads a number without sign. @return false if it is none */
bool parse_number(const char *text, uint64_t *value);
/** Reads `count` numbers with commas between them. @return false if it is not that */
bool parse_numbers(const char *text, uint64_t *values, unsigned count);
/** Reads "500ms", "2s", "2", "1.5s", "1m", "1h"; "off" and "0" are 0. @return false if it is none
 */
bool parse_time(const char *text, uint64_t *ns);
/** ticks * 10^9 / per_second without overflow. */
uint64_t ticks_to_ns(uint64_t ticks, uint64_t per_second);
/** Splits a line at blanks, in place; '..' and "..." keep theirs. @return the number of words, or
 * -1: a quote is not closed, -2: more than max */
int split_words(char *line, char **words, int max);

#endif
