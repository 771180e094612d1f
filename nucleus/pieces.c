/*
 * Byte strings of invocations: memory of a domain as pieces within pages, found before anything is
 * moved.
 */
#include "invoke.h"
#include "paging.h"
#include "segment.h"
#include "string.h"

int pieces_find(struct activity *a, uint64_t address, size_t length, bool write, struct pieces *p)
{
    p->count = 0;
    p->length = length;
    if (length > BW_STRING_MAX)
        return BW_ARGUMENT;
    while (length > 0) {
        uint8_t *at = write ? paging_writable(a, address) : (uint8_t *)paging_readable(a, address);
        if (at == NULL) {
            int r = segment_pointer(object_district(a->domain), activity_frame(a)->segment, address,
                                    write, &at);
            if (r != BW_OK)
                return r;
        }
        size_t n = BW_PAGE_SIZE - (address & (BW_PAGE_SIZE - 1));
        if (n > length)
            n = length;
        p->piece[p->count].at = at;
        p->piece[p->count++].length = n;
        address += n;
        length -= n;
    }
    return BW_OK;
}

void pieces_copy(const struct pieces *to, const struct pieces *from, size_t length)
{
    size_t i = 0, j = 0, at = 0, from_at = 0;
    while (length > 0) {
        size_t n = to->piece[i].length - at, m = from->piece[j].length - from_at;
        if (n > m)
            n = m;
        if (n > length)
            n = length;
        memcpy(to->piece[i].at + at, from->piece[j].at + from_at, n);
        length -= n;
        if ((at += n) == to->piece[i].length)
            i++, at = 0;
        if ((from_at += n) == from->piece[j].length)
            j++, from_at = 0;
    }
}

/** Copies between a part [offset, offset + n) of pieces and a buffer. */
static void pieces_part(const struct pieces *p, size_t offset, uint8_t *buffer, size_t n, bool put)
{
    for (unsigned i = 0; n > 0; i++) {
        if (offset >= p->piece[i].length) {
            offset -= p->piece[i].length;
            continue;
        }
        size_t m = p->piece[i].length - offset;
        if (m > n)
            m = n;
        if (put)
            memcpy(p->piece[i].at + offset, buffer, m);
        else
            memcpy(buffer, p->piece[i].at + offset, m);
        buffer += m;
        n -= m;
        offset = 0;
    }
}

void pieces_put(const struct pieces *to, size_t offset, const void *from, size_t length)
{
    pieces_part(to, offset, (uint8_t *)from, length, true);
}

void pieces_get(void *to, const struct pieces *from, size_t offset, size_t length)
{
    pieces_part(from, offset, to, length, false);
}

const uint8_t *pieces_page(const struct pieces *p, size_t offset, uint8_t *buffer)
{
    size_t skip = offset;
    unsigned i = 0;
    while (skip > 0 && skip >= p->piece[i].length)
        skip -= p->piece[i++].length;
    if (skip == 0 && p->piece[i].length >= BW_PAGE_SIZE)
        return p->piece[i].at;
    pieces_get(buffer, p, offset, BW_PAGE_SIZE);
    return buffer;
}

int call_string(const struct call *c, struct pieces *p)
{
    size_t n = INVOKE_FLAGS(c->regs->rax) & INVOKE_STRING ? c->regs->r13 : 0;
    return pieces_find(c->a, c->regs->r12, n, false, p);
}

int call_buffer(const struct call *c, size_t length, struct pieces *p)
{
    size_t n = INVOKE_FLAGS(c->regs->rax) & INVOKE_RECEIVE ? c->regs->r15 : 0;
    return pieces_find(c->a, c->regs->r14, n < length ? n : length, true, p);
}

int call_get(const struct call *c, void *to, size_t min, size_t max, size_t *length)
{
    struct pieces p;
    size_t n = INVOKE_FLAGS(c->regs->rax) & INVOKE_STRING ? c->regs->r13 : 0;
    if (n < min || n > max)
        return BW_ARGUMENT;
    int r = call_string(c, &p);
    if (r != BW_OK)
        return r;
    pieces_get(to, &p, 0, p.length);
    if (length != NULL)
        *length = p.length;
    return BW_OK;
}

int call_put(struct call *c, const void *from, size_t length)
{
    struct pieces p;
    int r = call_buffer(c, length, &p);
    if (r != BW_OK)
        return r;
    pieces_put(&p, 0, from, p.length);
    c->out_length = p.length;
    c->cut = p.length < length;
    return BW_OK;
}
