#include "block_server.h"

#include <stdio.h>
#include <string.h>

static struct block_ring *ring_of(const struct block_server *s)
{
    return (struct block_ring *)s->window;
}

/* The window: a node of height 1 full of contiguous pages. */
int64_t block_make_window(struct block_server *s, uint16_t nucleus)
{
    struct message m = {.code = NUCLEUS_DMA,
                        .word = {s->window, BLOCK_WINDOW_PAGES, 0},
                        .send = {KEY_AT(KR_SPACE), KEY_AT(KR_RANGE)}};
    int64_t result = bw_map_fresh(s->window, 1);

    m.word[2] = bw_next_id(BLOCK_WINDOW_PAGES);
    if (result >= 0) {
        result = bw_call(nucleus, &m);
    }
    s->physical = m.word[0];
    return result;
}

void block_publish(const struct block_server *s)
{
    char name[32];

    snprintf(name, sizeof(name), "disk%llu", (unsigned long long)s->number);
    bw_assert(bw_publish(name, s->badge) >= 0);
}

/* BW_OK if the request may be given to the disk. */
static int32_t check(const struct block_server *s, const struct block_request *r)
{
    if (r->operation == BLOCK_FLUSH) {
        return BW_OK;
    }
    if (r->operation != BLOCK_READ && r->operation != BLOCK_WRITE) {
        return BW_ARGUMENT;
    }
    if (r->page < 1 || r->page >= BLOCK_WINDOW_PAGES || r->sectors == 0 ||
        r->sectors > (BLOCK_WINDOW_PAGES - r->page) * (BW_PAGE_SIZE / BLOCK_SECTOR)) {
        return BW_ARGUMENT;
    }
    if (r->sector > s->capacity || r->sectors > s->capacity - r->sector ||
        (r->operation == BLOCK_WRITE && s->read_only)) {
        return BW_ARGUMENT;
    }
    return BW_OK;
}

static void answer(struct block_server *s, unsigned entry, int32_t status)
{
    struct block_request *r = &ring_of(s)->request[entry];

    r->status = status;
    __atomic_store_n(&r->done, 1u, __ATOMIC_RELEASE);
    s->news = true;
}

bool block_next(struct block_server *s, struct block_request *r, unsigned *entry)
{
    uint32_t submitted = 0;
    int32_t status;

    if (!s->open) {
        return false;
    }
    submitted = __atomic_load_n(&ring_of(s)->submitted, __ATOMIC_ACQUIRE);
    if (submitted - s->taken > BLOCK_RING) { /* a client that cannot count */
        submitted = s->taken + BLOCK_RING;
    }
    for (; s->taken != submitted; s->taken++) {
        *entry = s->taken % BLOCK_RING;
        if (s->busy[*entry]) {
            return false;
        }
        *r = *(volatile struct block_request *)&ring_of(s)->request[*entry];
        status = check(s, r);
        if (status == BW_OK && !(r->operation == BLOCK_FLUSH && !s->can_flush)) {
            return true;
        }
        answer(s, *entry, status);
    }
    return false;
}

void block_taken(struct block_server *s)
{
    s->busy[s->taken++ % BLOCK_RING] = true;
    s->in_flight++;
}

void block_complete(struct block_server *s, unsigned entry, int32_t status)
{
    bw_assert(s->busy[entry]);
    s->busy[entry] = false;
    s->in_flight--;
    answer(s, entry, status);
}

void block_tell(struct block_server *s)
{
    if (s->news) {
        s->news = false;
        bw_post(KEY_AT(s->client));
    }
}

void block_failed(struct block_server *s, uint64_t sector, unsigned status)
{
    bw_time_t now = bw_monotonic();

    s->unreported++;
    if (now < s->quiet_until) {
        return;
    }
    bw_log("disk%llu: %u requests failed, the last one at sector %llu (status %u)",
           (unsigned long long)s->number, s->unreported, (unsigned long long)sector, status);
    s->unreported = 0;
    s->quiet_until = now + 1000000000ull;
}

void block_close(struct block_server *s)
{
    s->open = false;
}

static void open_window(struct block_server *s, struct message *m)
{
    struct message start_key = {
        .code = DOMAIN_MAKE_START, .word = {s->badge}, .take = {KEY_AT(s->given + 1)}};
    struct message get = {.code = SEGMENT_GET, .word = {s->window, 1}, .take = {KEY_AT(s->given)}};

    bw_assert(s->in_flight == 0);
    memset(ring_of(s), 0, sizeof(struct block_ring));
    s->taken = 0;
    s->news = false;
    bw_copy_key(KEY_AT(KR_ARGUMENT), KEY_AT(s->client));
    if ((m->code = bw_call(KEY_AT(KR_SELF), &start_key)) < 0 ||
        (m->code = bw_call(KEY_AT(KR_SPACE), &get)) < 0) {
        return;
    }
    s->open = true;
    m->send[0] = KEY_AT(s->given);
    m->send[1] = KEY_AT(s->given + 1);
}

void block_serve(struct block_server *s, struct message *m)
{
    switch (m->code) {
    case BLOCK_INFO:
        m->code = BW_OK;
        m->word[0] = s->capacity;
        m->word[1] = s->can_flush;
        m->word[2] = s->read_only;
        break;
    case BLOCK_OPEN:
        open_window(s, m);
        break;
    default:
        m->code = BW_ORDER;
    }
}
