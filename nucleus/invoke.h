/*
 * Invocation: the parts that the orders of the nucleus's own keys share.
 *
 * struct call is a decoded invocation. A handler first checks everything and finds all it needs,
 * returning an error or WAIT_* with nothing changed; only then it changes things, and can no longer
 * fail. (Copies of bytes may be partial before a WAIT: the restarted invocation copies the same
 * bytes again.)
 */
#ifndef NUCLEUS_INVOKE_H
#define NUCLEUS_INVOKE_H

#include "place.h"

struct call {
    struct activity *a;
    struct district *d;
    struct regs *regs;
    struct key key; /* invoked */
    uint64_t order;
    uint64_t w[BW_MESSAGE_WORDS];
    struct key k[BW_MESSAGE_KEYS]; /* sent */
    /* reply */
    uint64_t out[BW_MESSAGE_WORDS];
    struct key out_key;
    size_t out_length; /* of the string; the handler has put it into the receive buffer */
    bool cut;          /* it did not fit */
};

#define INVOKE_FLAGS(rax) ((rax) >> 8 & 0xff)

/** A byte string in memory as pieces within pages. */
#define PIECES 18u
struct pieces {
    unsigned count;
    size_t length;
    struct {
        uint8_t *at;
        size_t length;
    } piece[PIECES];
};

/** Finds [address, address + length) of a domain. write: made writable. @return BW_OK, BW_FAULT,
 * WAIT_*, BW_ARGUMENT */
int pieces_find(struct activity *a, uint64_t address, size_t length, bool write, struct pieces *p);
void pieces_copy(const struct pieces *to, const struct pieces *from, size_t length);
/** At an offset of the whole. */
void pieces_put(const struct pieces *to, size_t offset, const void *from, size_t length);
void pieces_get(void *to, const struct pieces *from, size_t offset, size_t length);
/** A page's bytes at an offset: where they are if that is a whole page, else copied to the buffer.
 */
const uint8_t *pieces_page(const struct pieces *p, size_t offset, uint8_t *buffer);

/** The caller's string and receive buffer. A missing one has length 0. */
int call_string(const struct call *c, struct pieces *p);
int call_buffer(const struct call *c, size_t length, struct pieces *p);
/** Shorthands: copy a whole small string in or out. In: BW_ARGUMENT if it is not min..max bytes
 * long. */
int call_get(const struct call *c, void *to, size_t min, size_t max, size_t *length);
int call_put(struct call *c, const void *from, size_t length);

/** The id at an offset of a range key. False if it is not in the range, or not for programs of this
 * district. */
bool range_covers(const struct district *d, struct key range, uint64_t offset, oid_t *oid);

typedef int order_handler(struct call *c);
order_handler order_page, order_node, order_segment, order_domain, order_range, order_grant,
    order_number;
order_handler order_nucleus, order_district, order_ports, order_physical, order_irq, order_self;
/** DISTRICT_FREEZE; bond.c. */
int order_freeze(struct call *c, struct district *d);
/** DISTRICT_PUBLISHED and GRANT_PUBLISHED. */
int order_published(struct call *c, struct district *d);

/** Fault reply by DOMAIN_RESUME or through a resume key. @return BW_OK, BW_ARGUMENT */
int fault_reply(struct activity *a, uint64_t code, uint64_t value, const struct regs *r);

#endif
