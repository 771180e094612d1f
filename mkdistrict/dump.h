/*
 * The two halves of dump: dump.c has the store's own structures, dump_object.c what is in objects.
 */
#ifndef MKDISTRICT_DUMP_H
#define MKDISTRICT_DUMP_H

#include "tools.h"

/** "  name                 value" */
void dump_field(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
void dump_hex(const uint8_t *bytes, size_t n);
void dump_object(struct opened *o, oid_t oid);
/** @param which a number or a path */
void dump_inode(struct opened *o, const char *which);

#endif
