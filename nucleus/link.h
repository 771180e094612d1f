/*
 * Links: keys that cross a district border (see docs/design.md). A link key is an index into its
 * holder's link table and the version of that entry; the entry has the key itself and the instance
 * of the other district at the time. When either side ends, the comparison fails and the link is
 * severed: no search.
 */
#ifndef NUCLEUS_LINK_H
#define NUCLEUS_LINK_H

#include "district.h"

/** What a key of `from` becomes in the hands of `to`; void if it may not cross or the table is
 * full. */
struct key link_cross(struct district *from, struct district *to, struct key k);
/** @return BW_OK, the district and its key; BW_SEVERED */
int link_resolve(struct district *d, struct key link, struct district **to, struct key *target);
/** A resume link was used, or moved on. */
void link_free(struct district *d, struct key link);
/** `d` ends: those outside who wait for a reply from it get BW_SEVERED; its table goes. */
void link_sever_all(struct district *d);
int link_init(struct district *d);

#endif
