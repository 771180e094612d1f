/*
 * The space of the store (space.c).
 */
#ifndef SERVER_SPACE_H
#define SERVER_SPACE_H

#include <stdbool.h>
#include <stdint.h>

/** True if so many changed objects come near to what may become dirty before a commit. */
bool space_budget_nears(uint64_t changed);
/** Drops the older generations, as many as can go. @return false if none could */
bool space_make_room(void);

#endif
