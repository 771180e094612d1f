/*
 * A terminal's own session of the console as login and shell use it: text out, bytes in, both waiting.
 */
#ifndef SHELL_SCREEN_H
#define SHELL_SCREEN_H

#include <stddef.h>
#include <stdint.h>
#include <bailiwick/runtime.h>

#define KR_CONSOLE    KEY_AT(24)
#define KR_SCREEN_OWN KEY_AT(25)

/** Finds the console of that terminal and asks for posts. */
void screen_open(uint64_t terminal);
unsigned screen_columns(void);
/** Shows the bytes as they are; returns when the console has them. ctx is not used (lineedit.h). */
void screen_put(void *ctx, const char *text, size_t n);
/** Formats and shows; a newline becomes CR LF. */
void screen_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Waits for one typed byte. */
uint8_t screen_get(void);
/** Waits for one typed byte until a time, MONOTONIC. @return it, or -1 */
int screen_poll(bw_time_t until);

#endif
