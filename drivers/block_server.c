#include "block_server.h"

#include <stdio.h>
#include <string.h>

static struct block_ring *ring_of(const struct block_server *s)
{
    return (struct block_ring *)s->window;
}

/* Of the start key that the client wants to be posted. */
static uint16_t client(const struct block_server *s)
{
    return KEY_IN_NODE(BLOCK_KR_CLIENTS, s->place);
}

int64_t block_prepare(void)
{
    struct message m = {.code = RANGE_CREATE,
                        .word = {bw_next_id(1), OBJECT_NODE},
                        .take = {KEY_AT(BLOCK_KR_CLIENTS)}};

    return bw_call(KEY_AT(KR_RANGE), &m);
}

/* The window: a node of height 1 full of contiguous pages. */
int64_t block_make_window(struct block_server *s, unsigned place, uint16_t nucleus)
{
    uintptr_t at = BLOCK_WINDOWS_AT + (uintptr_t)place * BLOCK_WINDOW_PAGES * BW_PAGE_SIZE;
    struct message m = {.code = NUCLEUS_DMA,
                        .word = {at, BLOCK_WINDOW_PAGES, 0},
                        .send = {KEY_AT(KR_SPACE), KEY_AT(KR_RANGE)}};
    int64_t result = bw_map_fresh(at, 1);

    s->place = place;
    s->window = at;
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
    bw_assert(bw_publish(name, (uint16_t)(BLOCK_POST_SUBMIT + s->place)) >= 0);
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
            r->sector += s->first;
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
        bw_post(client(s));
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
           (unsigned long long)s->number % BLOCK_WHOLE_MAX, s->unreported,
           (unsigned long long)sector, status);
    s->unreported = 0;
    s->quiet_until = now + 1000000000ull;
}

void block_close(struct block_server *s)
{
    s->open = false;
}

static void open_window(struct block_server *s, struct message *m)
{
    struct message start_key = {.code = DOMAIN_MAKE_START,
                                .word = {BLOCK_POST_SUBMIT + s->place},
                                .take = {KEY_AT(BLOCK_KR_GIVEN + 1)}};
    struct message get = {
        .code = SEGMENT_GET, .word = {s->window, 1}, .take = {KEY_AT(BLOCK_KR_GIVEN)}};

    bw_assert(s->in_flight == 0);
    memset(ring_of(s), 0, sizeof(struct block_ring));
    s->taken = 0;
    s->news = false;
    bw_copy_key(KEY_AT(KR_ARGUMENT), client(s));
    if ((m->code = bw_call(KEY_AT(KR_SELF), &start_key)) < 0 ||
        (m->code = bw_call(KEY_AT(KR_SPACE), &get)) < 0) {
        return;
    }
    s->open = true;
    m->send[0] = KEY_AT(BLOCK_KR_GIVEN);
    m->send[1] = KEY_AT(BLOCK_KR_GIVEN + 1);
}

/* Whether sectors of a whole disk may become part n of it; *there: they are that already. */
static bool may_be_part(const struct block_server *row, unsigned count,
                        const struct block_server *whole, const uint64_t *word, bool *there)
{
    uint64_t first = word[0], sectors = word[1], n = word[2];

    *there = false;
    if (whole->number >= BLOCK_WHOLE_MAX || n == 0 || n > BLOCK_PART_MAX || sectors == 0 ||
        first > whole->capacity || sectors > whole->capacity - first) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        const struct block_server *s = &row[i];

        if (s->unit != whole->unit || s->number < BLOCK_WHOLE_MAX) {
            continue;
        }
        if (s->number == BLOCK_PART_OF(whole->number, n) && s->first == first &&
            s->capacity == sectors) {
            *there = true;
            return true;
        }
        if (s->number == BLOCK_PART_OF(whole->number, n) ||
            (first < s->first + s->capacity && s->first < first + sectors)) {
            return false;
        }
    }
    return true;
}

static int64_t make_part(struct block_server *row, const struct block_server *whole,
                         unsigned *count, unsigned max, const uint64_t *word, uint16_t nucleus)
{
    struct block_server *part = &row[*count];
    int64_t result;
    bool there;

    if (!may_be_part(row, *count, whole, word, &there)) {
        return BW_ARGUMENT;
    }
    if (there || *count == max) {
        return there ? BW_OK : BW_LIMIT;
    }
    *part = (struct block_server){.number = BLOCK_PART_OF(whole->number, word[2]),
                                  .unit = whole->unit,
                                  .first = word[0],
                                  .capacity = word[1],
                                  .read_only = whole->read_only,
                                  .can_flush = whole->can_flush};
    result = block_make_window(part, *count, nucleus);
    if (result >= 0) {
        (*count)++;
        block_publish(part);
    }
    return result;
}

void block_serve(struct block_server *row, unsigned place, unsigned *count, unsigned max,
                 uint16_t nucleus, struct message *m)
{
    struct block_server *s = &row[place];

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
    case BLOCK_PART:
        m->code = make_part(row, s, count, max, m->word, nucleus);
        break;
    default:
        m->code = BW_ORDER;
    }
}
