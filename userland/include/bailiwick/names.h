/*
 * The supervisor's name service: how programs of the commons find one another. Each program gets a
 * start key with its own badge; what it may publish and find is the supervisor's table (least
 * authority).
 */
#ifndef BAILIWICK_NAMES_H
#define BAILIWICK_NAMES_H

#define NAME_MAX_LENGTH 32u

enum names_order {
    NAMES_FIND = 1, /* string: name -> k0. Waits until it is published, unless w0 is 1: BW_ABSENT.
                       BW_BROKEN if who would publish it has ended for good. BW_REFUSED if not for
                       you */
    NAMES_PUBLISH = 2, /* string: name, k0 start key. The latest one counts */
    NAMES_READY = 3,   /* this program is up (after an exit or crash it is restarted) */
    NAMES_SPAWN = 4,   /* string: a program of the boot archive that this one may start (login:
                          "shell"; pci: drivers, with k0..k3 handed over in KR_PROGRAM..+3; w0
                          handed in rdi) -> when it has started */
    NAMES_WAIT = 5,    /* string: program, w0 its word -> w0 its exit word, when it has ended */
    NAMES_EXIT = 6,    /* w0: this program is done */
    NAMES_LIST = 7,    /* -> string: one line for each program: name, state, restarts */
};

/*
 * Names published: "serial" and "vga" (drivers), "keys" (screens), "terminals", "consoles",
 * "console0".. (console.h, one for each terminal), "disk0".. (block.h), "store0"..
 * (admin.h, one for each disk that is a district store), "districts" (admin.h), "entropy", "clock",
 * "power", "pci".
 */

/** "entropy": fresh random bytes from the machine. */
enum entropy_order {
    ENTROPY_GET = 1, /* -> w0..w3: 256 random bits */
};
/** "clock": the battery clock. */
enum clock_order {
    CLOCK_GET = 1, /* -> w0 ns since 1970 */
};
/** "power" */
enum power_order {
    POWER_OFF = 1,
    POWER_REBOOT = 2,
};

#endif
