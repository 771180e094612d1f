/*
 * The end of a broken nucleus, and its log. Nothing that a program, a driver or a store does leads
 * here.
 */
#ifndef NUCLEUS_PANIC_H
#define NUCLEUS_PANIC_H

#include <stdint.h>

/** Says which invariant broke, on the serial port and the screen, and stops the machine. */
void panic_at(const char *file, int line, const char *invariant) __attribute__((noreturn));
#define panic(invariant)     panic_at(__FILE__, __LINE__, invariant)
#define assert(e, invariant) ((e) ? (void)0 : panic_at(__FILE__, __LINE__, invariant))

/** The machine is not one for us: says so in the same places, and stops. */
void cannot_run(const char *why, const char *what) __attribute__((noreturn));

/** The log goes to the emulator's debug console (port 0xe9). Knows %s %d %u %x %lu %lx. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_bytes(const char *bytes, unsigned n);

#endif
