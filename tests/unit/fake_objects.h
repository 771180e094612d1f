/*
 * What the nucleus's objects and snapshots need of the rest of it, for tests of them alone: one
 * program at most, no registers, time that counts calls. Included by one file of a test program.
 */
#ifndef TESTS_FAKE_OBJECTS_H
#define TESTS_FAKE_OBJECTS_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "cpu.h"
#include "district.h"
#include "frame.h"
#include "paging.h"

struct cpu cpu0;
struct district districts[DISTRICT_MAX];
struct nucleus_statistics statistics;
bw_time_t realtime_offset;

void domain_make_safe(struct domain_frame *f)
{
    (void)f;
}

bool domain_frame_valid(const struct domain_frame *f)
{
    return f->state <= DOMAIN_WAITING;
}

int district_list_domain(struct district *d, oid_t oid, uint32_t *place)
{
    (void)d, (void)oid;
    *place = 0;
    return BW_OK;
}

int district_unlist_domain(struct district *d, uint32_t place)
{
    (void)d, (void)place;
    return BW_OK;
}

struct system_page *district_system(struct district *d)
{
    return (struct system_page *)d->system->data;
}

void queue_wake_all(struct queue *q)
{
    (void)q;
}

bw_time_t clock_now(void)
{
    static bw_time_t now;
    return ++now;
}

void fpu_save(struct activity *a)
{
    (void)a;
}

void fpu_forget(struct activity *a)
{
    (void)a;
}

void panic_at(const char *file, int line, const char *invariant)
{
    ck_abort_msg("%s:%d: %s", file, line, invariant);
    abort();
}

void *frame_allocate_run(size_t count)
{
    return aligned_alloc(4096, count * 4096);
}

bool frame_is_zero(const void *frame)
{
    static const uint8_t zeros[4096];
    return memcmp(frame, zeros, sizeof zeros) == 0;
}

#endif
