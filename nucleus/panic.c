#include <stdarg.h>
#include <stdbool.h>
#include "panic.h"
#include "cpu.h"
#include "frame.h"

#define SCREEN       0xb8000u
#define SCREEN_CELLS 160u    /* two lines of it */
#define SCREEN_INK   0x4f00u /* white on red */

static bool last_words; /* also to the serial port, polled, and the screen: no driver runs now */
static unsigned shown;  /* cells of the screen */

static volatile uint16_t *screen(void)
{
    return frame_pointer(SCREEN);
}

static void begin_last_words(void)
{
    last_words = true;
    for (unsigned i = 0; i < SCREEN_CELLS; i++)
        screen()[i] = SCREEN_INK | ' ';
}

static void put(char c)
{
    outb(0xe9, (uint8_t)c);
    if (!last_words)
        return;
    for (unsigned i = 0; i < 100000 && !(inb(0x3fd) & 0x20); i++)
        ;
    outb(0x3f8, (uint8_t)c);
    if (c >= ' ' && shown < SCREEN_CELLS)
        screen()[shown++] = (uint16_t)(SCREEN_INK | c);
}

static void put_string(const char *s)
{
    while (*s != 0)
        put(*s++);
}

static void put_number(uint64_t v, unsigned base)
{
    char digits[20];
    unsigned n = 0;
    do
        digits[n++] = "0123456789abcdef"[v % base];
    while ((v /= base) != 0);
    while (n > 0)
        put(digits[--n]);
}

void log_bytes(const char *bytes, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        put(bytes[i]);
}

void log_line(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    for (const char *p = format; *p != 0; p++) {
        if (*p != '%') {
            put(*p);
            continue;
        }
        bool is_long = *++p == 'l';
        if (is_long)
            p++;
        if (*p == 's')
            put_string(va_arg(args, const char *));
        else if (*p == 'x' || *p == 'u')
            put_number(is_long ? va_arg(args, uint64_t) : va_arg(args, uint32_t),
                       *p == 'x' ? 16 : 10);
        else if (*p == 'd')
            put_number((uint64_t)va_arg(args, int), 10);
    }
    va_end(args);
    put('\n');
}

void cannot_run(const char *why, const char *what)
{
    begin_last_words();
    log_line("\r\nBailiwick cannot run here: %s %s\r", why, what);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void panic_at(const char *file, int line, const char *invariant)
{
    __asm__ volatile("cli");
    begin_last_words();
    log_line("\r\nnucleus: broken invariant: %s (%s:%d)\r", invariant, file, line);
    for (;;)
        __asm__ volatile("cli; hlt");
}
