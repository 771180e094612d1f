/*
 * Which generations can be read, as far as is known. See whole.c.
 */
#ifndef SERVER_WHOLE_H
#define SERVER_WHOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <store/store.h>

/** Remembers what a damage says of objects. */
void whole_note(const struct store_damage *d);
/** The object cannot be read from the device. */
void whole_note_object(uint64_t oid);
/** The generation is of no use although its blocks are good: its first objects do not start. */
void whole_condemn(uint64_t generation);
/** Whether everything known to be damaged somewhere can be read in this generation. */
bool whole_generation(uint64_t generation);
/** The nearest kept ancestor of a kept generation, STORE_NEWEST: none. */
uint64_t whole_ancestor(uint64_t generation);
/** The newest whole generation before `bound` among the current one and its ancestors.
 * @return false: there is none */
bool whole_before(uint64_t bound, uint64_t *generation);
/** Says which generations can be restarted. */
void whole_choice(char *to, size_t size);

#endif
