/*
 * Consoles. The console server shares the machine's terminals, which are the serial line (terminal
 * 0) and, if there is a screen, four on it (1 to 4). It has sessions: one for the login and shell
 * of each terminal, its home, and session d for district d's console. Each terminal shows one
 * session, and a session is shown at one terminal at most. What the others write is kept in a ring
 * (the last CONSOLE_BACKLOG bytes) and shown when a terminal turns to them. Each session has its
 * own start key, so that the badge says which. What drives a terminal, "serial" or the
 * program screens, answers CONSOLE_WRITE and READ likewise, as one session for each terminal.
 *
 * Bytes are passed as they are: no line discipline here (the shell edits lines itself, a district
 * has its own tty in its personality). A gated session is one whose district holds its output until
 * it is committed; it numbers it, so that after a restart it knows what has been shown. Nothing
 * here ever waits: data that does not fit is refused with a short count, and a post says when to
 * try again.
 */
#ifndef BAILIWICK_CONSOLE_H
#define BAILIWICK_CONSOLE_H

enum console_order {
    CONSOLE_WRITE = 1,  /* string -> w0 bytes taken (0: full; a post follows when there is room).
                           w0 mark, w1 number of the first byte: kept for CONSOLE_SHOWN; w0 0 in a
                           gated session: history */
    CONSOLE_READ = 2,   /* w0 at most -> string (empty: none; a post follows when there is input) */
    CONSOLE_LISTEN = 3, /* k0 start key: posted when there is input, room, or the size or focus
                           changed */
    CONSOLE_SIZE = 4,   /* -> w0 rows, w1 columns, w2 1: the session is gated */
    CONSOLE_ATTACH = 5, /* shell only, w0 session: its terminal shows that; the reply comes with w0
                           enum console_detached. It is taken away from where it was shown */
    CONSOLE_OPEN = 6, /* districtd only, w0 session 1..63, w1 1: gated, w2 1: only if it is not open
                         (BW_EXISTS) -> k0: start key of that session, emptied; a gated one has the
                         output of the last one */
    CONSOLE_CLOSE = 7,  /* districtd only, w0 session: its district has ended */
    CONSOLE_DETACH = 8, /* a session gives its terminal back, as if Ctrl-] had been typed */
    CONSOLE_SHOWN = 9, /* -> w0 mark of the last CONSOLE_WRITE of this session or the one before it,
                          w1 number of the byte behind it; 0: none */
    CONSOLE_GATED = 10,   /* districtd only, w0 session, w1 1: it is gated from now on, 0: not */
    CONSOLE_SCREENS = 11, /* "terminals": w0 rows, w1 columns, k0..k3 a start key of each screen
                             -> k0..k3 what is to be posted when a screen has input */
};

enum console_detached {
    DETACHED_BY_USER = 0,   /* he typed Ctrl-] */
    DETACHED_ENDED = 1,     /* the session has been closed */
    DETACHED_ELSEWHERE = 2, /* another terminal was attached to it */
};

/** What a district's terminal agent publishes, for nobody in other districts to open: posted when
 * it has been granted a session of a console that was restarted. */
#define CONSOLE_NOTICE ".terminal"

#define CONSOLE_TERMINALS 5u /* the serial line and four screens */

#define CONSOLE_BACKLOG   16384u
#define CONSOLE_WRITE_MAX 4096u

#endif
