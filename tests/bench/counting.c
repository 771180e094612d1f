/*
 * Reports over the serial port, polled. Nobody else is there who could use it.
 */
#include "counting.h"

#include <stdio.h>

#define SERIAL_PORT    0x3f8
#define POWER_PORT     0x604
#define POWER_OFF_CODE 0x2000

void must(int64_t result, const char *what)
{
    if (result < 0)
        bw_log("%s: result %lld", what, (long long)result);
    bw_assert(result >= 0);
}

static uint64_t port(uint16_t key, unsigned order, uint64_t offset, uint64_t width, uint64_t value)
{
    struct message m = {.code = (int64_t)order, .word = {offset, width, value}};
    must(bw_call(key, &m), "port");
    return m.word[0];
}

static void ports(uint64_t first, uint64_t count)
{
    struct message m = {.code = NUCLEUS_PORTS, .word = {first, count}, .take = {KR_PORTS}};
    must(bw_call(KR_NUCLEUS, &m), "ports");
}

void report_open(void)
{
    ports(SERIAL_PORT, 8);
}

void report(const char *name, uint64_t value)
{
    char line[96];
    int n = snprintf(line, sizeof line, "bench %s %llu\r\n", name, (unsigned long long)value);
    for (int i = 0; i < n; i++) {
        while (!(port(KR_PORTS, PORTS_IN, 5, 1, 0) & 0x20)) {
        }
        port(KR_PORTS, PORTS_OUT, 0, 1, (uint8_t)line[i]);
    }
}

void report_done(void)
{
    report("done", 1);
    ports(POWER_PORT, 2);
    port(KR_PORTS, PORTS_OUT, 0, 2, POWER_OFF_CODE);
}
