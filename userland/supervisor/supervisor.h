/*
 * What the parts of the supervisor share: its key registers, the policy table, programs, names.
 */
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

#include <bailiwick/boot.h>
#include <bailiwick/names.h>
#include <bailiwick/runtime.h>

#include <stdbool.h>

#define KR_NUCLEUS      KR_PROGRAM
#define KR_ARCHIVE      (KR_PROGRAM + 1)
#define KR_PROGRAM_KEYS 24 /* node: domain and range of each program */
#define KR_NAME_KEYS    25 /* node: start keys published */
#define KR_WAITER_KEYS  26 /* node: resume keys of callers that wait */
#define KR_NEW_RANGE    27 /* of the program being started */
#define KR_NEW_ROOT     28
#define KR_NEW_DOMAIN   29
#define KR_TEMP         30
#define KR_HANDED_KEYS  31 /* node: what each program was handed, BW_MESSAGE_KEYS slots each */

#define PROGRAMS_MAX    64u /* two for each disk; pci's posts have so many bits */
#define PROGRAMS_OTHERS 11u /* places that are not for disks: the shell can always be started */
/** That are not if there is a screen: screens, ps2, four logins and shells */
#define PROGRAMS_OF_SCREEN 10u
#define PROGRAM_RANGE      (1u << 18) /* ids that each start of a program gets */

/** Badges of start keys to the supervisor: the program's index, and what the key is for. */
#define BADGE_NAMES  0x000u
#define BADGE_KEEPER 0x100u
#define BADGE_QUIET  0x200u /* pci posts it: the program's device has been silenced */
#define BADGE_KIND   0xff00u

/* policy.c */

enum grant_kind {
    GRANT_NOTHING = 0,
    GRANT_NUCLEUS,
    GRANT_PORTS,    /* first, count */
    GRANT_IRQ,      /* line */
    GRANT_PHYSICAL, /* first page, count */
    GRANT_HANDED    /* the key that came with NAMES_SPAWN in this place */
};
struct grant {
    uint8_t kind; /* enum grant_kind */
    uint16_t first, count;
};

enum start_when {
    START_AT_BOOT,
    START_FOR_DISK, /* once for each disk that is published */
    START_ON_DEMAND /* by NAMES_SPAWN */
};

#define GRANTS_MAX 5u
/** What one program of the commons may do. Patterns are separated by blanks; '#' stands for its
 * word. */
struct policy {
    const char *program;
    uint8_t when;  /* enum start_when */
    uint8_t class; /* of its meter */
    bool once;     /* a crash is its end: whoever asked for it asks again */
    bool device;   /* does DMA: handed key POLICY_DEVICE silences its device */
    bool screen;   /* while it runs there is one, with its programs */
    const char *find, *publish, *spawn;
    struct grant grants[GRANTS_MAX]; /* KR_PROGRAM and up */
};
#define POLICY_DEVICE 2u

extern const struct policy policies[];
extern const unsigned policies_count;

const struct policy *policy_find(const char *program);
/** Whether `name` is one of `patterns` for a program whose word is `word`. */
bool policy_allows(const char *patterns, const char *name, uint64_t word);

/* load.c */

/** The module of that name in the boot archive, or NULL. */
const struct boot_module *module_find(const char *name);
/** Builds a program's address space under KR_NEW_ROOT from ids of KR_NEW_RANGE.
 *  @return BW_OK, and its entry point */
int64_t load_program(const struct boot_module *module, uint64_t *entry);

/* program.c */

enum program_state {
    PROGRAM_FREE = 0,  /* place unused                                            */
    PROGRAM_RUNNING,   /* -> SILENCING, ENDED or FAILED by a fault or NAMES_EXIT  */
    PROGRAM_SILENCING, /* dead; its device is told to be quiet -> RUNNING, FAILED */
    PROGRAM_ENDED,     /* NAMES_EXIT, or a fault of one that runs once            */
    PROGRAM_FAILED,    /* faulted too often, or could not be loaded               */
};

#define RESTARTS_MAX 3u

struct program {
    const struct policy *policy;
    uint64_t word;
    uint8_t state; /* enum program_state */
    bool ending;   /* by NAMES_EXIT: not to be started again */
    bool retry;    /* SILENCING: pci was busy, tell it again */
    unsigned restarts;
    bw_time_t failed_at[RESTARTS_MAX]; /* the last restarts, by restarts % RESTARTS_MAX */
    uint64_t exit_word;
};

extern struct program programs[PROGRAMS_MAX];

/** Starts `policy` with `word`; keys handed to it are in KR_ARGUMENT and up. One that runs already
 * is left alone. @return its index, or a negative enum bw_result */
int64_t program_start(const struct policy *policy, uint64_t word);
/** It faulted: message `m` of the nucleus to its keeper. */
void program_fault(unsigned index, const struct message *m);
/** It asked for its end. */
void program_exit(unsigned index, uint64_t word);
/** Its device is silent: its memory may be used again. */
void program_silent(unsigned index);
/** Tells pci again where it was busy. @return when to call this again, BW_NO_DEADLINE: never */
bw_time_t program_tick(void);
/** False: all that may publish that name have ended for good. */
bool program_may_publish(const char *name);
/** The program with that name, of several the one with that word. NULL: none */
struct program *program_named(const char *name, uint64_t word);
/** One line for each program. @return length */
size_t program_list(char *buffer, size_t size);
const char *program_title(const struct program *p);

/* names.c */

/** The key is in KR_ARGUMENT. @return false: the table is full */
bool names_publish(const char *name, unsigned owner);
/** @return true if the caller is to be answered now with *m; else it waits */
bool names_find(const char *name, unsigned caller, bool wait, struct message *m);
bool names_wait(const char *program, uint64_t word, unsigned caller, struct message *m);
/** `p` has ended: answers who waits for that, or for what it would have published. */
void names_ended(const struct program *p);
/** Posts to the name's owner, if it is published. */
void names_post(const char *name);
/** The names and waits of a program that is gone. */
void names_forget(unsigned owner);

#endif
