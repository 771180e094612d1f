/*
 * Named links between a holder H and a target T, with the broker between them, as nucleus/link.c,
 * nucleus/named.c and districts/broker.c have them. Each `atomic` is one invocation of the nucleus,
 * which nothing interrupts. Both districts are killed and restarted at any moment; H may go back to
 * a state in which it was in a call, and T to one in which it had not published yet.
 *
 * Properties (asserted below, by number):
 *   1. No message reaches another incarnation of T than the one that the link was established to.
 *   2. Nobody waits for a reply that cannot come: who waits outside is known, in T as it runs now, by
 *      a resume link to just that call.
 *   3. A reply ends just the call that it answers.
 *   4. After the first connection no message goes through a `notify` link before H has acknowledged
 *      the connection that it goes over.
 *   5. A key that the broker found in an earlier incarnation of T establishes nothing.
 *
 * BROKEN takes one precaution away; then a property must fail (check.py).
 */
#define RUNS 3 /* of each district */

byte h_run = 1, t_run = 1;             /* instance numbers */
bool h_up = true, t_up = true;
bool published = true, saved_published = true;

/* the link: volatile half, and what is in H's system object, now and as of its checkpoint */
byte link_run = 0;                     /* instance of T when it was established; 0: never in this run */
bool link_live = false;                /* LIVE, not RELINKED */
byte connection = 0, acknowledged = 0, saved_connection = 0, saved_acknowledged = 0;

/* the broker's own link to what T has published */
byte found_run = 0;

/* H's one caller, now and as of its checkpoint */
bool waits = false, saved_waits = false;
byte waits_for = 0;                    /* instance of T that has the request */
byte call = 0, saved_call = 0;

/* in T: the request that it serves, one that it has put aside to answer later, and their resume links */
bool serving = false, aside = false;
byte resume_run = 0, resume_call = 0, aside_run = 0, aside_call = 0;

#define cut (link_run == 0 || !t_up || (CHECKS_RUN && link_run != t_run))

#if BROKEN == 1
#define CHECKS_RUN false
#else
#define CHECKS_RUN true
#endif

/* The resume link still leads to the caller: version of his run, and count of his calls. */
#define fits(instance, count) (instance == h_run && count == call)

inline answer(instance, count) {
    if
#if BROKEN == 3
    :: h_up && waits ->
#else
    :: h_up && waits && fits(instance, count) ->
#endif
        assert(fits(instance, count) && waits_for == t_run);             /* 3 */
        waits = false; call++
    :: else
    fi
}

inline sever_waiters() {
#if BROKEN != 2
    if
    :: h_up && waits && ((serving && fits(resume_run, resume_call)) ||
                         (aside && fits(aside_run, aside_call))) -> waits = false; call++
    :: else
    fi;
#endif
    serving = false; aside = false
}

active proctype holder() {
    byte asked;
end:
    do
    :: atomic { h_up && !waits && call < 4 && !cut && link_live && !serving ->
        /* CALL: the message is delivered and the resume link made in one step */
        assert(link_run == t_run);                                  /* 1 */
        assert(connection <= 1 || acknowledged == connection);      /* 4 */
        waits = true; waits_for = t_run;
        serving = true; resume_run = h_run; resume_call = call }
    :: atomic { h_up && !waits && !cut && !link_live ->
        asked = connection }                                        /* RELINKED: SELF_LINK_STATE */
    :: atomic { h_up && !waits && asked != 0 ->                     /* SELF_LINK_ACK */
        if
        :: asked == connection -> acknowledged = connection; link_live = (link_run != 0)
        :: else
        fi;
        asked = 0 }
    od
}

active proctype target() {
end:
    do
    :: atomic { t_up && serving -> answer(resume_run, resume_call); serving = false }
    :: atomic { t_up && aside -> answer(aside_run, aside_call); aside = false }
    :: atomic { t_up && serving && !aside ->
        aside = true; aside_run = resume_run; aside_call = resume_call; serving = false }
    :: atomic { t_up && !published -> published = true }
    od
}

active proctype broker() {
end:
    do
    :: atomic { t_up && published -> found_run = t_run }            /* DISTRICT_PUBLISHED */
#if BROKEN == 4
    :: atomic { h_up && found_run != 0 && t_up && cut && connection < 4 ->
#else
    :: atomic { h_up && found_run != 0 && t_up && found_run == t_run && cut && connection < 4 ->
#endif
        /* DISTRICT_LINK: the broker's link must lead to T as it runs now */
        assert(found_run == t_run);                                 /* 5 */
        link_run = t_run; connection++;
        if
        :: connection == 1 -> acknowledged = 1
        :: else
        fi;
#if BROKEN == 5
        link_live = true;
#else
        link_live = (acknowledged == connection);
#endif
        found_run = 0 }
    od
}

active proctype store() {
end:
    do
    :: atomic { h_up ->                                             /* a checkpoint of H */
        saved_connection = connection; saved_acknowledged = acknowledged;
        saved_waits = waits; saved_call = call }
    :: atomic { t_up -> saved_published = published }
    od
}

active proctype power() {
    do
    :: atomic { t_up -> t_up = false; sever_waiters() }             /* T is killed */
    :: atomic { !t_up && t_run < RUNS -> t_run++; t_up = true; published = saved_published }
    :: atomic { h_up -> h_up = false; waits = false }               /* H is killed */
    :: atomic { !h_up && h_run < RUNS ->
        h_run++; h_up = true;
        link_run = 0; link_live = false;                            /* all its links start out severed */
        connection = saved_connection; acknowledged = saved_acknowledged;
        waits = false;                                              /* RESTARTED, if it was in a call */
        call = saved_call;
        if
        :: saved_waits -> call++
        :: else
        fi }
    :: t_run == RUNS && h_run == RUNS -> break
    od
}

active proctype observer() {
end:
    do
    :: atomic { h_up && waits ->
        assert(t_up && waits_for == t_run && ((serving && fits(resume_run, resume_call)) ||
                                              (aside && fits(aside_run, aside_call)))) } /* 2 */
    od
}
