/*
 * What the district's store has room for, and who may still have it (space.c).
 */
#ifndef UNIX_SPACE_H
#define UNIX_SPACE_H

#include <stdbool.h>
#include <stdint.h>

/** Who wants new objects; the earlier ones are refused first, at a floor of so many 256ths of a
 * unit. */
enum space_use {
    SPACE_FILES = 1280,   /* a file or a directory grows */
    SPACE_MAPPING = 1024, /* a process asks for more memory */
    SPACE_LARGE = 768,    /* a large process touches memory that it was given; */
    SPACE_SMALL = 128,    /* a small one does; in between the floor rises */
    SPACE_PROCESS = 384,  /* a process is made */
    SPACE_LAST = 0,       /* the shell or the first process touches memory */
};

struct space;

/** Returns when the store has room for a first program: at once, or after it was made larger. */
void space_wait_to_start(void);
/** May `objects` more be made? Counts them if so. */
bool space_take(enum space_use use, uint64_t objects);
/** The same for one page or node of a process's memory. */
bool space_take_page(const struct space *s);
/** A mapping of so many pages is asked for: refused if the store has not even room for it alone. */
bool space_take_mapping(uint64_t pages);
/** Objects were destroyed; the next checkpoints may bring their space back. */
void space_freed(void);

/** A call begins, or a fault: what was refused before does not count any more. */
void space_begin(void);
/** What becomes of a call that has failed with `result`, having changed nothing: BLOCKED if it was
 * for lack of space and space may come back soon; then it is run again. */
long space_outcome(long result);
/** current's page fault found no room. @return BLOCKED, RESULT_RETRY if a signal came first, or
 * -ENOMEM: there is no hope */
long space_wait_fault(void);
/** current goes on: its next refusal is a new one. */
void space_satisfied(void);

struct space_figures {
    uint64_t total, free; /* pages; total 0: not known */
    uint64_t files;       /* of free: what files may have */
};
void space_figures(struct space_figures *f);

struct process;
/** The first process and shells (leaders of sessions) are the last to suffer. */
bool space_protects(const struct process *p);
/** Does it count as a large process's memory? */
bool space_is_large(const struct space *s);

#endif
