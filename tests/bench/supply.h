/*
 * Districts that a measuring program makes up: it plays store server for them, object by object.
 * The district key is in a key register of the caller's choice.
 */
#ifndef BENCH_SUPPLY_H
#define BENCH_SUPPLY_H

#include <bailiwick/district.h>
#include <bailiwick/link.h>
#include "counting.h"

#define KR_OWN       KEY_AT(27) /* start key of this program */
#define CODE_ADDRESS 0x1000ul   /* where domains of a district begin to run */
#define OID_CODE     ((oid_t)0x20000)
#define OID_DOMAINS  ((oid_t)0x10000)

/** The object that is supplied next. */
extern struct supplied {
    struct object_header header;
    union {
        uint8_t bytes[BW_PAGE_SIZE];
        struct key keys[BW_NODE_SLOTS];
        struct domain_frame domain;
        struct system_page system;
        struct publication publication[BW_PAGE_SIZE / sizeof(struct publication)];
        oid_t oids[BW_PAGE_SIZE / sizeof(oid_t)];
    };
} object;

/** To be called first. */
void supply_open(void);
void object_begin(oid_t oid, unsigned type);
void supply(uint16_t district);
struct key object_key(unsigned type, unsigned rights, unsigned height, oid_t oid);
/** An empty district that is loading. */
void district_new(uint16_t district, const char *name);
/** Its domains are OID_DOMAINS.. The first `published` of them publish a start key each, under the
 * names "a", "b".. */
void supply_system(uint16_t district, unsigned domains, unsigned published);
void district_start(uint16_t district);
void district_kill(uint16_t district);

#endif
