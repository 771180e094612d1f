// sources: ../../nucleus/bond.c ../../nucleus/district.c ../../nucleus/domain.c
// sources: ../../nucleus/invoke.c ../../nucleus/link.c ../../nucleus/named.c ../../nucleus/object.c
// sources: ../../nucleus/order_district.c ../../nucleus/order_domain.c ../../nucleus/order_node.c
// sources: ../../nucleus/order_range.c ../../nucleus/order_segment.c ../../nucleus/order_self.c
// sources: ../../nucleus/orphans.c ../../nucleus/pieces.c ../../nucleus/place.c
// sources: ../../nucleus/segment.c ../../nucleus/share.c ../../nucleus/snapshot.c
// sources: ../../nucleus/trap.c
/*
 * The machine below the nucleus, for tests on the host: frames and slab pieces come from the C
 * library (so that ASan sees every use after free), page tables do not exist (each access walks the
 * segment), time counts calls, and what is ready to run stands in one queue. Included by one file
 * of a test program.
 */
#ifndef TESTS_FAKE_MACHINE_H
#define TESTS_FAKE_MACHINE_H

#include <check.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include "cpu.h"
#include "district.h"
#include "domain.h"
#include "frame.h"
#include "invoke.h"
#include "paging.h"
#include "panic.h"

struct cpu cpu0;
struct nucleus_statistics statistics;
struct queue memory_waiters;
char boot_command_line[512];

static struct queue fake_ready;
static size_t frames_out, pieces_out;
static size_t fail_period; /* every so many allocations one fails; 0: never */
static bw_time_t fake_now = 1000000;

static bool allocation_fails(void)
{
    return fail_period != 0 && (size_t)random() % fail_period == 0;
}

/* --- frames ------------------------------------------------------------------------------ */

void *frame_allocate(enum frame_use use, bool common)
{
    ck_assert(use != FRAME_FREE && use != FRAME_NUCLEUS); /* what the nucleus keeps is not freed */
    if (!common && allocation_fails())
        return NULL;
    frames_out++;
    void *frame = aligned_alloc(4096, 4096);
    memset(frame, 0xa5, 4096);
    return frame;
}

void *frame_allocate_run(size_t count)
{
    return aligned_alloc(4096, count * 4096);
}

void frame_free(void *frame)
{
    frames_out--;
    free(frame);
}

void frame_set_object(void *frame, struct object *o)
{
    (void)frame, (void)o;
}

bool frame_is_ram(uint64_t physical)
{
    return physical < 1u << 30;
}

size_t frame_count(void)
{
    return 1000;
}

size_t frame_free_count(void)
{
    return 500;
}

bool frame_is_zero(const void *frame)
{
    static const uint8_t zeros[4096];
    return memcmp(frame, zeros, sizeof zeros) == 0;
}

void *slab_allocate(struct slab *s, bool common)
{
    if (!common && allocation_fails())
        return NULL;
    pieces_out++;
    return calloc(1, s->size);
}

void slab_free(struct slab *s, void *piece)
{
    (void)s;
    pieces_out--;
    free(piece);
}

/* --- page tables: none ------------------------------------------------------------------- */

static unsigned fake_unmaps;

void *paging_writable(const struct activity *a, uint64_t address)
{
    (void)a, (void)address;
    return NULL;
}

const void *paging_readable(const struct activity *a, uint64_t address)
{
    (void)a, (void)address;
    return NULL;
}

void paging_node_changed(struct object *node, unsigned first, unsigned count, bool protect)
{
    (void)node, (void)protect;
    ck_assert_uint_le(first + count, BW_NODE_SLOTS);
    fake_unmaps++;
}

void paging_node_gone(struct object *node)
{
    (void)node;
    fake_unmaps++;
}

void paging_page_gone(struct object *page)
{
    ck_assert_ptr_null(page->entry);
}

void paging_not_accessed(struct object *page)
{
    ck_assert_ptr_null(page->entry);
}

void paging_drop_all(struct district *d)
{
    (void)d;
    fake_unmaps++;
}

/* --- the CPU ----------------------------------------------------------------------------- */

void fpu_save(struct activity *a)
{
    (void)a;
}

void fpu_forget(struct activity *a)
{
    (void)a;
}

bool fpu_check(uint8_t area[DOMAIN_FPU_SIZE])
{
    return area[24] == 0;
}

uint32_t fpu_area_size(void)
{
    return 832;
}

uint64_t fpu_features(void)
{
    return 7;
}

bw_time_t clock_now(void)
{
    return ++fake_now;
}

uint64_t clock_tsc_hz(void)
{
    return 1000000000;
}

void schedule_ready(struct activity *a)
{
    queue_add(&fake_ready, a);
}

void schedule_first(struct activity *a)
{
    queue_add(&fake_ready, a);
}

/* Timers are looked for among all domains by the tests that need them. */
bool schedule_is_ready(const struct activity *a)
{
    return a->queue == &fake_ready;
}

void schedule_set_deadline(struct activity *a, bw_time_t deadline)
{
    a->deadline = deadline;
}

/* A trap ends in schedule_run; fake_trap comes back then. */
static jmp_buf fake_trap_end;

void schedule_run(struct activity *preferred)
{
    if (preferred != NULL && activity_frame(preferred)->state == DOMAIN_RUNNING &&
        preferred->queue == NULL)
        schedule_ready(preferred);
    cpu0.current = NULL;
    longjmp(fake_trap_end, 1);
}

void schedule_tick(void)
{
}

void device_interrupt(unsigned line)
{
    (void)line;
}

void fpu_switch(struct activity *a)
{
    (void)a;
}

int paging_fault(struct activity *a, uint64_t address, uint64_t error)
{
    (void)a, (void)address, (void)error;
    return BW_FAULT;
}

extern void trap_syscall(void) __attribute__((noreturn));

/** The domain executes a syscall instruction (which ends at rip), with the registers in its frame.
 */
static inline void fake_trap(struct activity *a)
{
    queue_remove(a);
    cpu0.current = a;
    int r = object_make_writable(a->domain);
    if (r != BW_OK) {
        domain_wait(a, r);
        cpu0.current = NULL;
        return;
    }
    if (setjmp(fake_trap_end) == 0)
        trap_syscall();
}

int order_ports(struct call *c)
{
    (void)c;
    return BW_ORDER;
}

int order_physical(struct call *c)
{
    (void)c;
    return BW_ORDER;
}

int order_irq(struct call *c)
{
    (void)c;
    return BW_ORDER;
}

/* --- last words -------------------------------------------------------------------------- */

void log_line(const char *format, ...)
{
    (void)format;
}

void log_bytes(const char *bytes, unsigned n)
{
    (void)bytes, (void)n;
}

void panic_at(const char *file, int line, const char *invariant)
{
    ck_abort_msg("%s:%d: %s", file, line, invariant);
    abort();
}

#endif
