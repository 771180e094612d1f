/*
 * The space bank: sells ids of objects, and takes them back. One domain per district serves all its
 * banks; a start key's badge says which bank (0: the root bank).
 */
#ifndef BAILIWICK_BANK_H
#define BAILIWICK_BANK_H

enum bank_order {
    BANK_BUY = 1, /* w0 count (1 .. 2^20) -> k0 range key over that many fresh ids. BW_NOSPACE: so
                     many are not left of a limit or in the store; w0 how many are */
    BANK_RETURN = 2, /* k0 range key as bought: destroys all objects in it, gives the ids' space
                        back */
    BANK_SUB = 3, /* w0 limit in objects -> k0 start key to a new bank below this one. BW_LIMIT */
    BANK_DESTROY = 4, /* destroys this bank, its sub-banks, and every object bought from them */
    BANK_STATUS = 5,  /* -> w0 limit, w1 ids sold (with sub-banks), w2 sub-banks, w3 how many it can
                         sell now */
};
#define BANKS_MAX 1024u

#endif
