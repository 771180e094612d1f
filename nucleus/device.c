#include "device.h"
#include "cpu.h"
#include "frame.h"
#include "invoke.h"
#include "paging.h"
#include "segment.h"

#define LINES   16u
#define SHARERS 32u /* of a line; as many as a PCI bus has devices */

static struct {
    struct key driver[SHARERS]; /* start keys of the commons */
    bool pending[SHARERS];      /* posted, has not yet said that it served its device */
} lines[LINES];

static struct activity *driver_activity(struct key k)
{
    struct object *o = k.type == KEY_START ? object_lookup(COMMONS, k.value) : NULL;
    bool there = o != NULL && o->type == OBJECT_DOMAIN && o->version == k.version;
    return there ? object_activity(o) : NULL;
}

/* A line that nobody serves stays masked. */
void device_interrupt(unsigned line)
{
    if (!interrupt_acknowledge(line))
        return;
    interrupt_mask(line);
    for (unsigned i = 0; i < SHARERS; i++) {
        struct activity *a = driver_activity(lines[line].driver[i]);
        if (a == NULL)
            continue;
        lines[line].pending[i] = true;
        domain_post(a, (uint64_t)1 << (lines[line].driver[i].tag & 63));
    }
}

static int irq_bind(struct call *c, unsigned line)
{
    int place = -1;
    if (c->k[0].type != KEY_START && c->k[0].type != KEY_VOID)
        return BW_ARGUMENT;
    for (unsigned i = 0; i < SHARERS; i++) {
        struct key k = lines[line].driver[i];
        if (k.type == KEY_START && k.value == c->a->domain->oid) { /* its own earlier binding */
            place = (int)i;
            break;
        }
        if (place < 0 && driver_activity(k) == NULL)
            place = (int)i;
    }
    if (place < 0)
        return BW_LIMIT;
    lines[line].driver[place] = c->k[0];
    lines[line].pending[place] = false;
    if (c->k[0].type == KEY_START)
        interrupt_unmask(line);
    return BW_OK;
}

static int irq_served(struct call *c, unsigned line)
{
    bool pending = false;
    for (unsigned i = 0; i < SHARERS; i++) {
        struct key k = lines[line].driver[i];
        if (k.value == c->a->domain->oid)
            lines[line].pending[i] = false;
        if (lines[line].pending[i] && driver_activity(k) != NULL)
            pending = true;
    }
    if (!pending)
        interrupt_unmask(line);
    return BW_OK;
}

int order_irq(struct call *c)
{
    unsigned line = (unsigned)c->key.value;
    if (line >= LINES)
        return BW_VOID;
    switch (c->order) {
    case IRQ_BIND:
        return irq_bind(c, line);
    case IRQ_UNMASK:
        return irq_served(c, line);
    default:
        return BW_ORDER;
    }
}

static uint32_t port_in(uint16_t port, unsigned width)
{
    uint32_t v = 0;
    if (width == 1)
        return inb(port);
    if (width == 2)
        __asm__ volatile("inw %1, %w0" : "=a"(v) : "Nd"(port));
    else
        __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static void port_out(uint16_t port, unsigned width, uint32_t v)
{
    if (width == 1)
        outb(port, (uint8_t)v);
    else if (width == 2)
        __asm__ volatile("outw %w0, %1" : : "a"(v), "Nd"(port));
    else
        __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

/** Words of 16 bits through one port; the memory is found before the device is touched. */
static int port_string(struct call *c, uint16_t port)
{
    static uint16_t words[PORTS_WORDS_MAX];
    void *at = words;
    if (c->order == PORTS_OUT_WORDS) {
        size_t length;
        int r = call_get(c, words, 0, sizeof words, &length);
        if (r != BW_OK)
            return r;
        if (length % 2 != 0)
            return BW_ARGUMENT;
        length /= 2;
        __asm__ volatile("rep outsw" : "+S"(at), "+c"(length) : "d"(port) : "memory");
        return BW_OK;
    }
    struct pieces p;
    uint64_t count = c->w[1];
    if (count > PORTS_WORDS_MAX)
        return BW_ARGUMENT;
    int r = call_buffer(c, count * 2, &p);
    if (r != BW_OK)
        return r;
    if (p.length != count * 2)
        return BW_ARGUMENT;
    __asm__ volatile("rep insw" : "+D"(at), "+c"(count) : "d"(port) : "memory");
    pieces_put(&p, 0, words, p.length);
    c->out_length = p.length;
    return BW_OK;
}

int order_ports(struct call *c)
{
    bool words = c->order == PORTS_IN_WORDS || c->order == PORTS_OUT_WORDS;
    uint64_t at = c->w[0], width = words ? 2 : c->w[1];
    if (c->order == PORTS_SUB) {
        if (at > c->key.version || width > c->key.version - at)
            return BW_ARGUMENT;
        c->out_key = c->key;
        c->out_key.value += at;
        c->out_key.version = (uint32_t)width;
        return BW_OK;
    }
    if (c->order != PORTS_IN && c->order != PORTS_OUT && !words)
        return BW_ORDER;
    if ((width != 1 && width != 2 && width != 4) || at > c->key.version ||
        width > c->key.version - at)
        return BW_ARGUMENT;
    uint16_t port = (uint16_t)(c->key.value + at);
    if (words)
        return port_string(c, port);
    if (c->order == PORTS_IN)
        c->out[0] = port_in(port, (unsigned)width);
    else
        port_out(port, (unsigned)width, (uint32_t)c->w[2]);
    return BW_OK;
}

/** Registers below 4 GiB can be reached through the direct map. */
static int physical_access(struct call *c, bool write)
{
    uint64_t size = (uint64_t)c->key.version << BW_PAGE_SHIFT, width = c->w[1];
    uint64_t at = c->key.value + c->w[0];
    if ((width != 1 && width != 2 && width != 4 && width != 8) || c->w[0] > size ||
        width > size - c->w[0] || at % width != 0 || at + width > 1ull << 32)
        return BW_ARGUMENT;
    volatile void *p = frame_pointer(at);
    if (write)
        switch (width) {
        case 1:
            *(volatile uint8_t *)p = (uint8_t)c->w[2];
            break;
        case 2:
            *(volatile uint16_t *)p = (uint16_t)c->w[2];
            break;
        case 4:
            *(volatile uint32_t *)p = (uint32_t)c->w[2];
            break;
        default:
            *(volatile uint64_t *)p = c->w[2];
        }
    else
        c->out[0] = width == 1   ? *(volatile uint8_t *)p
                    : width == 2 ? *(volatile uint16_t *)p
                    : width == 4 ? *(volatile uint32_t *)p
                                 : *(volatile uint64_t *)p;
    return BW_OK;
}

static int physical_map(struct call *c)
{
    struct object *mapping, *node;
    uint8_t rights;
    unsigned missing;
    if (c->k[1].type != KEY_NODE || !(c->k[1].rights & RIGHT_WRITE) ||
        c->w[0] % segment_span(1) != 0)
        return BW_ARGUMENT;
    int r = object_find(c->d, c->k[1], &mapping);
    if (r != BW_OK)
        return r;
    r = segment_node(c->d, c->k[0], c->w[0], 2, &node, &rights, &missing);
    if (r == BW_ABSENT)
        c->out[0] = missing;
    if (r != BW_OK)
        return r;
    if (!(rights & RIGHT_WRITE))
        return BW_RIGHTS;
    unsigned pages = c->key.version < BW_NODE_SLOTS ? c->key.version : BW_NODE_SLOTS;
    for (unsigned i = 0; i < pages; i++)
        node_slots(mapping)[i] = (struct key){.type = KEY_PHYSICAL,
                                              .rights = RIGHT_WRITE,
                                              .version = 1,
                                              .value = c->key.value + (uint64_t)i * BW_PAGE_SIZE};
    paging_node_changed(mapping, 0, pages, false);
    struct key k = object_key(mapping);
    k.type = KEY_SEGMENT;
    k.tag = 1;
    node_store(node, segment_slot(c->w[0], 2), k);
    return BW_OK;
}

int order_physical(struct call *c)
{
    switch (c->order) {
    case PHYSICAL_MAP:
        return physical_map(c);
    case PHYSICAL_SUB:
        if (c->w[0] > c->key.version || c->w[1] > c->key.version - c->w[0])
            return BW_ARGUMENT;
        c->out_key = c->key;
        c->out_key.value += c->w[0] << BW_PAGE_SHIFT;
        c->out_key.version = (uint32_t)c->w[1];
        return BW_OK;
    case PHYSICAL_READ:
        return physical_access(c, false);
    case PHYSICAL_WRITE:
        return physical_access(c, true);
    default:
        return BW_ORDER;
    }
}
