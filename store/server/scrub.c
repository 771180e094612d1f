/*
 * The scrub: everything that the store keeps is read and compared, a little at a time, while the
 * district runs or not. It rests as long as it has worked, and at least a moment for each step, so
 * that page faults and checkpoints find the disk free.
 */
#include "scrub.h"
#include "server.h"

#define STEP_BLOCKS 32u
#define REST_MIN_NS 1000000ull

static struct store_scrub scrub;
static struct scrub_line line;
static bw_time_t began, rest_until;

static void end(enum scrub_state state)
{
    line.state = state;
    line.took = bw_monotonic() - began;
}

/** Tells the result. */
static void complete(void)
{
    end(SCRUB_DONE);
    if (scrub.errors == 0) {
        server_event(EVENT_SCRUB, false, "scrub: %llu blocks read, no damage",
                     (unsigned long long)scrub.done);
    } else {
        server_event(EVENT_SCRUB, true, "scrub: %llu blocks read, %llu damaged, %llu repaired",
                     (unsigned long long)scrub.done, (unsigned long long)scrub.errors,
                     (unsigned long long)scrub.repaired);
    }
}

static void begin(void)
{
    if (line.state == SCRUB_RUNNING || !server.store) {
        return;
    }
    line = (struct scrub_line){0};
    began = bw_monotonic();
    rest_until = 0;
    scrub = (struct store_scrub){0};
    if (store_scrub_begin(server.store, &scrub) == STORE_OK) {
        line.state = SCRUB_RUNNING;
    } else {
        end(SCRUB_FAILED);
    }
}

void scrub_order(uint64_t order)
{
    if (order == SCRUB_BEGIN) {
        begin();
    } else if (order == SCRUB_STOP && line.state == SCRUB_RUNNING) {
        end(SCRUB_STOPPED);
        server_event(EVENT_SCRUB, false, "scrub: stopped, as asked, after %llu of %llu blocks",
                     (unsigned long long)scrub.done, (unsigned long long)scrub.total);
    }
}

const struct scrub_line *scrub_look(void)
{
    line.done = scrub.done;
    line.total = scrub.total;
    line.errors = scrub.errors;
    line.repaired = scrub.repaired;
    if (line.state == SCRUB_RUNNING) {
        line.took = bw_monotonic() - began;
    }
    return &line;
}

bw_time_t scrub_due(void)
{
    return line.state != SCRUB_RUNNING ? BW_NO_DEADLINE : rest_until;
}

void scrub_step(void)
{
    bw_time_t start = bw_monotonic();
    bw_time_t now;
    int error;

    if (line.state != SCRUB_RUNNING || start < rest_until) {
        return;
    }
    if (!server.store) {
        end(SCRUB_FAILED);
        return;
    }
    error = store_scrub_step(server.store, &scrub, STEP_BLOCKS);
    now = bw_monotonic();
    rest_until = now + (now - start > REST_MIN_NS ? now - start : REST_MIN_NS);
    if (error == STORE_ABSENT) {
        complete();
    } else if (error != STORE_OK) {
        end(SCRUB_FAILED);
        server_event(EVENT_SCRUB, true, "scrub: given up after %llu blocks: %s",
                     (unsigned long long)scrub.done, store_error_text(error));
    }
}
