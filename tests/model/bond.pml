/*
 * A checkpoint of three bonded districts, over and over: member 0 is the home; the coordinator is
 * districts/bond_step.c, the members are as store/server/checkpoint.c and bond.c have them. Each
 * `atomic` is what one of the servers does without anything between: a commit is durable or did not
 * happen. Members fail; store servers and the coordinator end at any moment, and the next ones take
 * over what runs; the power goes.
 *
 * Properties (asserted below, by number):
 *   1. Whenever the power goes, each member's store has what the home's store has committed, as its
 *      newest or as the one before.
 *   2. What was acknowledged is not older than that.
 *   3. A member is told that an instant counts only if the home has committed it.
 *   4. After a restart all are at the same instant.
 *
 * BROKEN takes one precaution away; then a property must fail (check.py).
 */
#define MEMBERS 3
#define ROUNDS  4 /* instants are 1 .. ROUNDS; 0: before the first */

#define NOTHING 0
#define READY   1
#define AT      2

#define IDLE     0
#define WRITING  1
#define DECIDING 2

/* stores: durable */
byte at[MEMBERS], before[MEMBERS]; /* instants of the current generation, and of the one it grew from */
bool doubt[MEMBERS];

/* store servers: volatile */
byte under[MEMBERS]; /* instant under way; 0: none */
bool held[MEMBERS];  /* written: prepared, or at home ready to commit */
byte report[MEMBERS], said[MEMBERS]; /* not delivered yet, and the instant in it */

/* nuclei: snapshot under way; outlives the servers */
byte frozen[MEMBERS];

/* coordinator */
byte phase = IDLE, instant = 0, ready = 0;
byte last = 0;         /* the highest instant that was used */
byte asks = 2;         /* so often everybody is asked what he is at */
byte acknowledged = 0; /* the user was told */

#define sound(i) (at[i] == at[0] || before[i] == at[0])

inline check() {
    assert(sound(1) && sound(2));                                        /* 1 */
    assert(at[0] >= acknowledged)                                        /* 2 */
}

inline over(i) {
    under[i] = 0; held[i] = false; report[i] = AT; said[i] = at[i]
}

/* What is prepared does not count. */
inline undo(i) {
    if
    :: under[i] != 0 ->
        if
        :: doubt[i] -> at[i] = before[i]; doubt[i] = false
        :: else
        fi;
        frozen[i] = 0;
        over(i)
    :: else
    fi
}

inline keep(i, t) {
    if
    :: held[i] && under[i] == t ->
        assert(at[0] == t);                                              /* 3 */
        doubt[i] = false; frozen[i] = 0;
        acknowledged = t;
        over(i)
    :: else
    fi
}

inline undo_all() {
    phase = IDLE; undo(0); undo(1); undo(2)
}

inline decide() {
    if
    :: held[0] && under[0] == instant ->
        before[0] = at[0]; at[0] = instant; frozen[0] = 0;
        acknowledged = instant;
        over(0)
    :: else
    fi
}

inline prepare(i) {
    before[i] = at[i]; at[i] = under[i]; doubt[i] = true;
#if BROKEN == 5
    before[i] = 255 /* retention */
#endif
}

/* The coordinator hears what member i has said. */
inline hear_ready(i, t) {
    if
    :: phase == WRITING && t == instant ->
        ready = ready | (1 << i);
        if
#if BROKEN == 1
        :: (ready & 3) == 3 -> phase = DECIDING; decide()
#else
        :: ready == 7 -> phase = DECIDING; decide()
#endif
        :: else
        fi
    :: phase == DECIDING && t == instant ->
        if
        :: i == 0 -> decide() /* it has not heard that it should */
        :: else
        fi
    :: else -> /* of the past: what the home has decides */
        if
#if BROKEN != 4
        :: i != 0 && at[0] == t -> keep(i, t)
#endif
        :: else -> undo(i)
        fi
    fi
}

inline hear_at(i, t) {
    if
    :: phase == IDLE || (phase == DECIDING && i != 0)
    :: else ->
        if
        :: i == 0 && t == instant -> phase = IDLE; keep(1, instant); keep(2, instant)
        :: else -> undo_all()
        fi
    fi
}

active proctype coordinator() {
    byte i, what, t;
end:
    do
#if BROKEN == 7
    :: atomic { phase == IDLE && last < ROUNDS -> /* nobody is asked whether he is busy */
#else
    :: atomic { phase == IDLE && frozen[0] == 0 && frozen[1] == 0 && frozen[2] == 0 && last < ROUNDS ->
#endif
        last++; instant = last; ready = 0; phase = WRITING;
        for (i : 0 .. MEMBERS - 1) {
            frozen[i] = instant; under[i] = instant; held[i] = false;
            report[i] = NOTHING; said[i] = 0;
            if
            :: doubt[i] -> at[i] = before[i]; doubt[i] = false /* nobody has said that it counts */
            :: else
            fi
        }
        i = 0; check() }
    :: atomic { phase != IDLE && asks > 0 -> asks--; /* nothing was heard for long: they tell again */
        for (i : 0 .. MEMBERS - 1) {
            if
            :: held[i] -> report[i] = READY; said[i] = under[i]
            :: !held[i] && under[i] == 0 -> frozen[i] = 0; report[i] = AT; said[i] = at[i]
            :: else
            fi
        }
        i = 0; check() }
    :: atomic { report[0] != NOTHING -> what = report[0]; t = said[0]; report[0] = NOTHING; said[0] = 0;
        if :: what == READY -> hear_ready(0, t) :: else -> hear_at(0, t) fi; what = 0; t = 0; check() }
    :: atomic { report[1] != NOTHING -> what = report[1]; t = said[1]; report[1] = NOTHING; said[1] = 0;
        if :: what == READY -> hear_ready(1, t) :: else -> hear_at(1, t) fi; what = 0; t = 0; check() }
    :: atomic { report[2] != NOTHING -> what = report[2]; t = said[2]; report[2] = NOTHING; said[2] = 0;
        if :: what == READY -> hear_ready(2, t) :: else -> hear_at(2, t) fi; what = 0; t = 0; check() }
    od
}

proctype member(byte me) {
end:
    do
    :: atomic { under[me] != 0 && !held[me] -> /* all of it is written */
        if
        :: me != 0 ->
#if BROKEN == 2
            skip /* prepared a moment later */
#else
            prepare(me)
#endif
        :: else
        fi;
        held[me] = true; report[me] = READY; said[me] = under[me]; check() }
#if BROKEN == 2
    :: atomic { me != 0 && held[me] && !doubt[me] -> prepare(me) }
#endif
    :: atomic { under[me] != 0 && !held[me] -> frozen[me] = 0; over(me); check() } /* its disk is full */
    od
}

byte servers_end = 2, coordinators_end = 2, cuts = 2;

/* What may happen at any moment. */
active proctype trouble() {
    byte i;
end:
    do
    :: atomic { servers_end > 0 -> servers_end--;
        if :: i = 0 :: i = 1 :: i = 2 fi;
        if
#if BROKEN == 3
        :: doubt[i] -> /* decides for itself */
            at[i] = before[i]; doubt[i] = false; frozen[i] = 0; over(i)
#endif
        :: doubt[i] && frozen[i] == at[i] ->
            under[i] = at[i]; held[i] = true; report[i] = READY; said[i] = at[i]
        :: !(doubt[i] && frozen[i] == at[i]) ->
            frozen[i] = 0; over(i)
        fi;
        i = 0; check() }
    :: atomic { coordinators_end > 0 -> coordinators_end--;
        phase = IDLE; ready = 0; instant = 0;
        for (i : 0 .. MEMBERS - 1) {
            if
            :: held[i] -> report[i] = READY; said[i] = under[i]
            :: !held[i] && under[i] == 0 -> report[i] = AT; said[i] = at[i]
            :: else -> report[i] = NOTHING; said[i] = 0
            fi
        }
        i = 0; check() }
    :: atomic { cuts > 0 -> cuts--;
        check();
        phase = IDLE; ready = 0; instant = 0;
        for (i : 0 .. MEMBERS - 1) {
            under[i] = 0; held[i] = false; report[i] = NOTHING; said[i] = 0; frozen[i] = 0;
#if BROKEN != 6
            at[i] = at[0];
#endif
#if BROKEN == 8
            if /* it runs from what is in doubt, and its store is not told */
            :: doubt[i] && before[i] != at[i]
            :: else -> before[i] = at[i]; doubt[i] = false
            fi
#else
            before[i] = at[i]; doubt[i] = false
#endif
        }
        i = 0;
        assert(at[1] == at[0] && at[2] == at[0]) }                       /* 4 */
    od
}

init {
    atomic { run member(0); run member(1); run member(2) }
}
