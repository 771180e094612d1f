/*
 * The gate: the program in each district that keeps its gated links (userland/gate). Programs get
 * at it through bw_link_open(..., LINK_GATED, ...); this is what goes on below.
 *
 * KR_IMAGE_GATE answers GATE_OPEN. The key that it gives takes calls as the published one would:
 * any code, words, and a string of up to GATE_BYTES_MAX bytes, but no keys. Besides what the other
 * side answers there are:
 *
 *   BW_SEVERED   one side has gone back farther than it had told the other; once for each link
 *   BW_LIMIT     GATE_CALLS calls to that district are under way: nothing was sent
 *   BW_ARGUMENT  a key came with it, or the string is too long: nothing was sent
 *   BW_ABSENT    nothing is published under that name there
 *   BW_REFUSED   this district may not open it
 *
 * Who sends instead of calling does not wait, and hears nothing. What does not fit the queue yet is
 * held, GATE_HELD messages for each district; if one cannot be taken, the next call through that
 * link is not made, and answers why: BW_LIMIT, BW_ARGUMENT or BW_SEVERED.
 */
#ifndef BAILIWICK_GATE_H
#define BAILIWICK_GATE_H

#include <bailiwick/link.h>

#define GATE_CALLS     8u /* to one district, not answered yet */
#define GATE_HELD      64u
#define GATE_BYTES_MAX 4096u

enum gate_order {
    GATE_OPEN = 1, /* string: struct link_params (mode is not looked at) -> k0 start key */
};

#endif
