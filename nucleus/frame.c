#include "frame.h"
#include "panic.h"
#include "string.h"

struct frame {
    union {
        struct object *object; /* OBJECT */
        uint64_t *parent;      /* TABLE: the entry that leads to it */
        struct {
            uint32_t next, previous;
        }; /* FREE: frame numbers, 0 ends */
    };
    uint16_t entries; /* TABLE: those in use */
    uint8_t use;
};

/* Frames that districts never get: what the commons may need before evict.c has freed more. */
#define RESERVE_MIN 128u
#define RESERVE_MAX 2048u

static struct frame *frames;
static size_t frame_limit, total, available, reserve;
static uint32_t free_head;

static struct frame *frame_of(const void *p)
{
    uint64_t n = frame_physical(p) >> 12;
    assert(n < frame_limit, "a frame pointer is inside RAM");
    return &frames[n];
}

void frame_init(uint64_t table, uint64_t limit)
{
    frame_limit = limit >> 12;
    frames = frame_pointer(table);
    memset(frames, 0, frame_limit * sizeof *frames);
    for (size_t i = 0; i < frame_limit; i++)
        frames[i].use = FRAME_NUCLEUS;
}

void frame_hole(uint64_t from, uint64_t to)
{
    for (uint64_t n = from >> 12; n < to >> 12 && n < frame_limit; n++)
        frames[n].use = FRAME_HOLE;
}

size_t frame_table_size(uint64_t limit)
{
    return ((limit >> 12) * sizeof(struct frame) + 4095) & ~(size_t)4095;
}

static void count_frame(void)
{
    total++;
    reserve = total / 32;
    if (reserve < RESERVE_MIN)
        reserve = RESERVE_MIN;
    if (reserve > RESERVE_MAX)
        reserve = RESERVE_MAX;
}

static void push_free(uint32_t n)
{
    frames[n].use = FRAME_FREE;
    frames[n].next = free_head;
    frames[n].previous = 0;
    if (free_head != 0)
        frames[free_head].previous = n;
    free_head = n;
    available++;
}

static void unlink_free(uint32_t n)
{
    struct frame *f = &frames[n];
    if (f->next != 0)
        frames[f->next].previous = f->previous;
    if (f->previous != 0)
        frames[f->previous].next = f->next;
    else
        free_head = f->next;
    available--;
}

void frame_add(uint64_t from, uint64_t to)
{
    for (uint64_t n = to >> 12; n > (from + 4095) >> 12; n--) {
        if (n - 1 == 0 || n - 1 >= frame_limit)
            continue;
        push_free((uint32_t)(n - 1));
        count_frame();
    }
}

void *frame_allocate(enum frame_use use, bool common)
{
    if (free_head == 0 || (!common && available <= reserve))
        return NULL;
    uint32_t n = free_head;
    unlink_free(n);
    frames[n].use = (uint8_t)use;
    frames[n].object = NULL;
    frames[n].entries = 0;
    return frame_pointer((uint64_t)n << 12);
}

void *frame_allocate_run(size_t count)
{
    size_t run = 0;
    size_t limit = 1u << 20; /* 4 GiB: any device reaches it */
    for (size_t n = frame_limit < limit ? frame_limit : limit; n-- > 1;) {
        run = frames[n].use == FRAME_FREE ? run + 1 : 0;
        if (run < count)
            continue;
        for (size_t i = n; i < n + count; i++) {
            unlink_free((uint32_t)i);
            frames[i].use = FRAME_OBJECT;
            frames[i].object = NULL;
        }
        return frame_pointer((uint64_t)n << 12);
    }
    return NULL;
}

void frame_free(void *p)
{
    struct frame *f = frame_of(p);
    assert(f->use != FRAME_FREE && f->use != FRAME_NUCLEUS, "what is freed was allocated");
    push_free((uint32_t)(f - frames));
}

void frame_adopt(void *p)
{
    struct frame *f = frame_of(p);
    assert(f->use == FRAME_NUCLEUS, "a module's frame is nobody's");
    f->use = FRAME_OBJECT;
    f->object = NULL;
    count_frame();
}

void frame_set_object(void *p, struct object *o)
{
    struct frame *f = frame_of(p);
    assert(f->use == FRAME_OBJECT, "an object's content is in an object frame");
    f->object = o;
}

struct object *frame_object(uint64_t physical)
{
    uint64_t n = physical >> 12;
    return n < frame_limit && frames[n].use == FRAME_OBJECT ? frames[n].object : NULL;
}

void frame_set_parent(void *table, uint64_t *entry)
{
    frame_of(table)->parent = entry;
}

uint64_t *frame_parent(const void *table)
{
    return frame_of(table)->parent;
}

unsigned frame_entries(const void *entry, int change)
{
    struct frame *f = frame_of(entry);
    f->entries = (uint16_t)(f->entries + change);
    return f->entries;
}

bool frame_is_ram(uint64_t physical)
{
    return physical >> 12 < frame_limit && frames[physical >> 12].use != FRAME_HOLE;
}

size_t frame_count(void)
{
    return total;
}

size_t frame_free_count(void)
{
    return available;
}

bool frame_scarce(void)
{
    return available <= reserve + 64;
}

bool frame_low(void)
{
    return available < reserve + 256 + total / 64;
}

void *slab_allocate(struct slab *s, bool common)
{
    if (s->free == NULL) {
        uint8_t *frame = frame_allocate(FRAME_NUCLEUS, common);
        if (frame == NULL)
            return NULL;
        for (size_t at = 0; at + s->size <= 4096; at += s->size) {
            *(void **)(frame + at) = s->free;
            s->free = frame + at;
        }
    }
    void *piece = s->free;
    s->free = *(void **)piece;
    s->used++;
    memset(piece, 0, s->size);
    return piece;
}

void slab_free(struct slab *s, void *piece)
{
    *(void **)piece = s->free;
    s->free = piece;
    s->used--;
}
