/*
 * The journal page: what a district writes there is durable when the answer comes, and stays
 * whichever generation the district goes back to (KeyKOS). It is granted to each district under
 * the name "journal"; program.h has it as functions.
 *
 * Each write names the number that it follows, as the last read or write gave it. So a program that
 * went back in time, and does not know what it wrote later, is told so before it overwrites that.
 */
#ifndef BAILIWICK_JOURNAL_H
#define BAILIWICK_JOURNAL_H

#define JOURNAL_SIZE 4096u

enum journal_order {
    JOURNAL_READ = 1,  /* -> w0 number, string: JOURNAL_SIZE bytes */
    JOURNAL_WRITE = 2, /* w0 number, string: what it is to have, the rest is zero -> w0 the new
                          number. BW_AGAIN: it has been written since: read it. BW_ARGUMENT: longer
                          than JOURNAL_SIZE. BW_IO: it may have been written or not */
};

#endif
