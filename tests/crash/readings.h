/*
 * Which images need not be opened: see readings.c.
 */
#ifndef CRASH_READINGS_H
#define CRASH_READINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct readings;
struct readings *readings_new(void);
void readings_free(struct readings *r);
/** Before the images of another moment. */
void readings_clear(struct readings *r);
/** content[b]: what the undecided block b has in this image. @return true if an image that had the
 * same in every block that was read of it has been judged */
bool readings_known(const struct readings *r, const uint16_t *content);
/** One was judged, and of the undecided blocks read these, in that order. */
void readings_add(struct readings *r, const uint16_t *content, const uint32_t *order, size_t n);

#endif
