/*
 * A gated link from A to B, as userland/gate/queue.c has it: A's outbox, what B has had of it, and the
 * sessions in which they agree. A frame arrives in the moment in which it is sent, or not at all, and
 * may be sent again: so are links (what comes late, and twice, is in tests/unit/test_gate.c). Both
 * districts are checkpointed, killed and restarted at any moment, from their newest generation or the
 * one before it. A message is known by its number and the run in which it got it.
 *
 * Properties (asserted below, by number):
 *   1. Nothing leaves A that its newest generation does not have.
 *   2. B acknowledges nothing that its newest generation does not have.
 *   3. When both have agreed, what B has had is the beginning of what A has sent: nothing was left out,
 *      came twice, or is of a past that A has given up; and what A takes as acknowledged B has.
 *   4. As long as both restart from their newest generation, nothing is severed.
 *
 * BROKEN takes one precaution away; then a property must fail (check.py).
 */
#define RESTARTS 3
#define MESSAGES 2 /* in a conversation */
#define TALKS    3 /* conversations */

typedef sender { byte talk, last, acked, run_of[MESSAGES + 1] }
typedef receiver { byte talk, had, run_of[MESSAGES + 1] }

sender a, a_new, a_old;      /* now; as of the newest generation, and of the one before */
receiver b, b_new, b_old;
byte runs = 2, a_run = 1, b_run = 2;
bool a_up = true, b_up = true;
byte a_free = 0, b_free = 0; /* committed: what may leave, what may be acknowledged */
byte a_you = 0, b_you = 0;   /* the run of the other side that was met; 0: none */
bool a_agreed = false, b_agreed = false;
bool went_back = false;
byte n, tag;                 /* of a frame */

inline copy_a(to, from) {
    to.talk = from.talk; to.last = from.last; to.acked = from.acked;
    to.run_of[1] = from.run_of[1]; to.run_of[2] = from.run_of[2]
}
inline copy_b(to, from) {
    to.talk = from.talk; to.had = from.had;
    to.run_of[1] = from.run_of[1]; to.run_of[2] = from.run_of[2]
}

inline sever_a(with) {
    assert(went_back);                                                  /* 4 */
    a.talk = with; a.last = 0; a.acked = 0; a.run_of[1] = 0; a.run_of[2] = 0;
    a_free = 0; a_agreed = false
}
inline sever_b(with) {
    assert(went_back);                                                  /* 4 */
    b.talk = with; b.had = 0; b.run_of[1] = 0; b.run_of[2] = 0;
    b_free = 0; b_agreed = false
}

#if BROKEN == 1
#define may_leave a.last
#else
#define may_leave a_free
#endif
#if BROKEN == 2
#define may_acknowledge b.had
#else
#define may_acknowledge b_free
#endif
#if BROKEN == 3
#define other_message false
#else
#define other_message (b.had > 0 && b.had <= a.last && tag != a.run_of[b.had])
#endif
#if BROKEN == 4
#define not_sent false
#else
#define not_sent (b.had > a.last)
#endif
#if BROKEN == 5
#define forgotten false
#else
#define forgotten (b.had < a.acked)
#endif
#if BROKEN == 6
#define next true
#else
#define next (n == b.had + 1)
#endif

inline acknowledge() {
    assert(may_acknowledge == 0 || (b_new.talk == b.talk && b_new.had >= may_acknowledge)); /* 2 */
    if
    :: may_acknowledge > a.acked && may_acknowledge <= a.last -> a.acked = may_acknowledge
    :: else
    fi
}

active proctype side_a() {
end:
    do
    :: atomic { a_up && a.last < MESSAGES ->                            /* a call is put */
        a.last++; a.run_of[a.last] = a_run }
    :: atomic { a_up && b_up ->                                         /* HELLO */
        if
        :: b_you != a_run -> b_you = a_run; b_agreed = false
        :: else
        fi;
        if
        :: a_you == b_run && a.talk >= b.talk ->
            if
            :: a.talk > b.talk -> sever_b(a.talk)
            :: else
            fi;
            b_agreed = true
        :: else
        fi }
    :: atomic { a_up && b_up && a_agreed && a.acked < may_leave ->      /* DATA: one not acknowledged */
        n = a.acked + 1;
        do
        :: n < may_leave -> n++
        :: break
        od;
        assert(a_new.talk == a.talk && a_new.last >= n && a_new.run_of[n] == a.run_of[n]); /* 1 */
        if
        :: b_agreed && b_you == a_run && a_you == b_run && a.talk == b.talk && next ->
            b.had = n; b.run_of[n] = a.run_of[n]
        :: else
        fi;
        n = 0 }
    od
}

active proctype side_b() {
end:
    do
    :: atomic { a_up && b_up ->                                         /* HELLO */
        tag = (b.had > 0 -> b.run_of[b.had] : 0);
        if
        :: a_you != b_run -> a_you = b_run; a_agreed = false
        :: else
        fi;
        if
        :: b_you == a_run && b.talk >= a.talk ->
            if
            :: b.talk > a.talk -> sever_a(b.talk)
            :: else
            fi;
            if
            :: !a_agreed && (not_sent || forgotten || other_message) ->
                if
                :: a.talk < TALKS -> sever_a(a.talk + 1)
                :: else
                fi
            :: else -> a_agreed = true; acknowledge()
            fi
        :: else
        fi;
        tag = 0 }
    :: atomic { a_up && b_up && b_agreed && a_agreed && b_you == a_run && a_you == b_run &&
                a.talk == b.talk -> acknowledge() }                     /* ACK */
    od
}

active proctype store() {
end:
    do
    :: atomic { a_up -> copy_a(a_old, a_new); copy_a(a_new, a); a_free = a.last }
    :: atomic { b_up -> copy_b(b_old, b_new); copy_b(b_new, b); b_free = b.had }
    od
}

active proctype power() {
    do
    :: atomic { a_up && runs < RESTARTS + 2 -> a_up = false }
    :: atomic { b_up && runs < RESTARTS + 2 -> b_up = false }
    :: atomic { !a_up && runs < RESTARTS + 2 ->
        if
        :: true
        :: went_back = true; copy_a(a_new, a_old)
        fi;
        runs++; a_run = runs; a_up = true; a_you = 0; a_agreed = false;
        copy_a(a, a_new); a_free = a.last }
    :: atomic { !b_up && runs < RESTARTS + 2 ->
        if
        :: true
        :: went_back = true; copy_b(b_new, b_old)
        fi;
        runs++; b_run = runs; b_up = true; b_you = 0; b_agreed = false;
        copy_b(b, b_new); b_free = b.had }
    :: runs == RESTARTS + 2 -> break
    od
}

active proctype observer() {
end:
    do
    :: atomic { a_up && b_up && a_agreed && b_agreed && a_you == b_run && b_you == a_run &&
                a.talk == b.talk ->
        assert(b.had <= a.last && a.acked <= b.had &&
               (b.had < 1 || b.run_of[1] == a.run_of[1]) &&
               (b.had < 2 || b.run_of[2] == a.run_of[2])) }             /* 3 */
    od
}
