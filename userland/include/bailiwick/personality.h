/*
 * What the steward of a district asks its personality.
 */
#ifndef BAILIWICK_PERSONALITY_H
#define BAILIWICK_PERSONALITY_H

enum unix_order {
    UNIX_SPAWN = 1, /* string: the words of the first program, each ended by NUL -> w0 its process
                       id. BW_ABSENT: no such file, BW_ARGUMENT: not a program, BW_EXISTS: it was
                       started */
};

#endif
