/*
 * The protocol of the two examples: an account that others pay into, numbered, so that a payment
 * that is made twice counts once. Over a gated link none is made twice, and numbers are not needed.
 */
#ifndef EXAMPLES_ACCOUNT_H
#define EXAMPLES_ACCOUNT_H

#define ACCOUNT_NAME   "account"
#define ACCOUNT_PAYERS 16u

enum account_order {
    ACCOUNT_HELLO = 1, /* w0 payer, below ACCOUNT_PAYERS -> w0 number of his last payment, w1
                          balance */
    ACCOUNT_PAY = 2, /* w0 payer, w1 number of the payment, w2 amount -> w0 number of his last one,
                        w1 balance. BW_ARGUMENT: a number is left out; nothing was paid */
    ACCOUNT_ADD = 3, /* w0 payer, w2 amount: counts each time, for callers over a gated link -> as
                        ACCOUNT_HELLO */
};

#endif
