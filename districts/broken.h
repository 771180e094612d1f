/*
 * Districts that broke. See broken.c.
 */
#ifndef DISTRICTS_BROKEN_H
#define DISTRICTS_BROKEN_H

#include <bailiwick/admin.h>

/** A store server says that its district cannot go on as it is: the crash policy decides.
 *  @param policy of the district @param object which one was met @param text a few words, or empty
 */
void broken(unsigned slot, enum ended_why why, uint32_t policy, uint64_t object, const char *text);

#endif
