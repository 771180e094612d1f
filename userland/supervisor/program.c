/*
 * Programs: start, fault, end, restart.
 *
 * A program is a domain in an address space of its own, all of objects from one range that no other
 * start uses. When it faults it is destroyed whole and started again, RESTARTS_MAX times in
 * RESTART_WINDOW at most. One whose device does DMA is not destroyed before pci has said that the
 * device is silent, since the device might still write to its memory.
 *
 * Keys of program i are in slots of KR_PROGRAM_KEYS and KR_HANDED_KEYS: enum program_key.
 */
#include "supervisor.h"

#include <bailiwick/pci.h>
#include <stdio.h>
#include <string.h>

enum program_key {
    PKEY_DOMAIN = 0,
    PKEY_RANGE = 1,
    PKEY_HANDED = 2, /* .. 5: as they came with NAMES_SPAWN */
};

#ifndef BW_MUTATION
#define BW_MUTATION 0 /* tests: nobody is given up */
#endif
#define RESTART_WINDOW (BW_MUTATION ? 1 : 60000000000ull) /* ns */
#define QUIET_RETRY    10000000ull                        /* ns */
#define DESTROY_STEP   256u

struct program programs[PROGRAMS_MAX];

static uint16_t program_key(unsigned index, unsigned key)
{
    return key < PKEY_HANDED
               ? KEY_IN_NODE(KR_PROGRAM_KEYS, index * PKEY_HANDED + key)
               : KEY_IN_NODE(KR_HANDED_KEYS, index * BW_MESSAGE_KEYS + key - PKEY_HANDED);
}

/* Whether it is for a disk. */
static bool is_of_a_disk(const struct policy *policy)
{
    return policy->publish && strchr(policy->publish, '#');
}

/* Whether several of it run at once, told apart by their words. */
static bool has_instances(const struct policy *policy)
{
    return is_of_a_disk(policy) || (policy->find && strchr(policy->find, '#'));
}

const char *program_title(const struct program *p)
{
    static char title[64];

    if (has_instances(p->policy)) {
        snprintf(title, sizeof(title), "%s %llu", p->policy->program, (unsigned long long)p->word);
        return title;
    }
    return p->policy->program;
}

struct program *program_named(const char *name, uint64_t word)
{
    for (unsigned n = 0; n < PROGRAMS_MAX; n++) {
        const struct policy *policy = programs[n].policy;

        if (policy && strcmp(policy->program, name) == 0 &&
            (programs[n].word == word || !has_instances(policy))) {
            return &programs[n];
        }
    }
    return NULL;
}

bool program_may_publish(const char *name)
{
    bool may = true;

    for (unsigned n = 0; n < PROGRAMS_MAX; n++) {
        const struct program *p = &programs[n];

        if (p->policy && policy_allows(p->policy->publish, name, p->word)) {
            may = p->state == PROGRAM_RUNNING || p->state == PROGRAM_SILENCING;
            if (may) {
                break;
            }
        }
    }
    return may;
}

/* One order to KEY_NUCLEUS that gives a key, which goes to the program's register. */
static int64_t give_machine_key(unsigned reg, enum nucleus_order order, uint64_t w0, uint64_t w1)
{
    struct message m = {.code = order, .word = {w0, w1}, .take = {KEY_AT(KR_TEMP)}};

    if (bw_call(KEY_AT(KR_NUCLEUS), &m) < 0) {
        return m.code;
    }
    m = (struct message){.code = DOMAIN_SET_KEY, .word = {reg}, .send = {KEY_AT(KR_TEMP)}};
    return bw_call(KEY_AT(KR_NEW_DOMAIN), &m);
}

static int64_t give(unsigned reg, uint16_t key)
{
    struct message m = {.code = DOMAIN_SET_KEY, .word = {reg}, .send = {key}};

    return bw_call(KEY_AT(KR_NEW_DOMAIN), &m);
}

/* A start key to ourselves, into KR_TEMP. */
static int64_t start_key(unsigned badge)
{
    struct message m = {.code = DOMAIN_MAKE_START, .word = {badge}, .take = {KEY_AT(KR_TEMP)}};

    return bw_call(KEY_AT(KR_SELF), &m);
}

static int64_t give_grant(unsigned index, unsigned place)
{
    const struct grant *grant = &programs[index].policy->grants[place];
    unsigned reg = KR_PROGRAM + place;

    switch (grant->kind) {
    case GRANT_NUCLEUS:
        return give(reg, KEY_AT(KR_NUCLEUS));
    case GRANT_PORTS:
        return give_machine_key(reg, NUCLEUS_PORTS, grant->first, grant->count);
    case GRANT_IRQ:
        return give_machine_key(reg, NUCLEUS_IRQ, grant->first, 0);
    case GRANT_PHYSICAL:
        return give_machine_key(reg, NUCLEUS_PHYSICAL, (uint64_t)grant->first * BW_PAGE_SIZE,
                                grant->count);
    case GRANT_HANDED:
        return give(reg, program_key(index, PKEY_HANDED + place));
    default:
        return BW_OK;
    }
}

/* All that the domain in KR_NEW_DOMAIN holds. */
static int64_t give_keys(unsigned index)
{
    int64_t result = give(KR_SELF, KEY_AT(KR_NEW_DOMAIN));

    if (result >= 0) {
        result = give(KR_SPACE, KEY_AT(KR_NEW_ROOT));
    }
    if (result >= 0) {
        result = give(KR_RANGE, KEY_AT(KR_NEW_RANGE));
    }
    if (result >= 0) {
        result = start_key(BADGE_NAMES | index);
    }
    if (result >= 0) {
        result = give(KR_NAMES, KEY_AT(KR_TEMP));
    }
    for (unsigned n = 0; n < GRANTS_MAX && result >= 0; n++) {
        result = give_grant(index, n);
    }
    return result;
}

static int64_t set_part(enum domain_order order, uint16_t key)
{
    struct message m = {.code = order, .send = {key}};

    return bw_call(KEY_AT(KR_NEW_DOMAIN), &m);
}

static int64_t set_meter(unsigned class)
{
    struct message m = {.code = NUCLEUS_METER, .word = {class}, .take = {KEY_AT(KR_TEMP)}};

    if (bw_call(KEY_AT(KR_NUCLEUS), &m) < 0) {
        return m.code;
    }
    return set_part(DOMAIN_SET_METER, KEY_AT(KR_TEMP));
}

/* A domain over KR_NEW_ROOT that lacks only its keys and registers. */
static int64_t make_domain(unsigned index)
{
    struct message m = {.code = RANGE_CREATE,
                        .word = {NATIVE_RANGE_USED - 1, OBJECT_DOMAIN},
                        .take = {KEY_AT(KR_NEW_DOMAIN)}};
    int64_t result = bw_call(KEY_AT(KR_NEW_RANGE), &m);

    if (result >= 0) {
        result = set_part(DOMAIN_SET_SEGMENT, KEY_AT(KR_NEW_ROOT));
    }
    if (result >= 0) {
        result = start_key(BADGE_KEEPER | index);
    }
    if (result >= 0) {
        result = set_part(DOMAIN_SET_KEEPER, KEY_AT(KR_TEMP));
    }
    return result < 0 ? result : set_meter(programs[index].policy->class);
}

static int64_t run(uint64_t entry, uint64_t word)
{
    struct regs regs = {.rip = entry, .rsp = NATIVE_STACK_TOP - 16, .rdi = word, .rflags = 0x202};
    struct message m = {.code = DOMAIN_SET_REGS, .string = &regs, .length = sizeof(regs)};

    if (bw_call(KEY_AT(KR_NEW_DOMAIN), &m) < 0) {
        return m.code;
    }
    m = (struct message){.code = DOMAIN_START};
    return bw_call(KEY_AT(KR_NEW_DOMAIN), &m);
}

static int64_t launch(unsigned index)
{
    const struct boot_module *module = module_find(programs[index].policy->program);
    struct message m = {.code = RANGE_SUB,
                        .word = {bw_next_id(PROGRAM_RANGE), PROGRAM_RANGE},
                        .take = {KEY_AT(KR_NEW_RANGE)}};
    uint64_t entry = 0;
    int64_t result;

    if (!module) {
        return BW_ABSENT;
    }
    result = bw_call(KEY_AT(KR_RANGE), &m);
    if (result < 0) {
        return result;
    }
    bw_copy_key(KEY_AT(KR_NEW_RANGE), program_key(index, PKEY_RANGE));
    result = load_program(module, &entry);
    if (result >= 0) {
        result = make_domain(index);
    }
    if (result >= 0) {
        result = give_keys(index);
    }
    bw_copy_key(KEY_AT(KR_NEW_DOMAIN), program_key(index, PKEY_DOMAIN));
    return result < 0 ? result : run(entry, programs[index].word);
}

/* Destroys all objects of its last start, and what it had published. */
static void destroy(unsigned index)
{
    struct message m;
    uint64_t offset = 0;

    names_forget(index);
    while (offset < PROGRAM_RANGE) {
        m = (struct message){.code = RANGE_DESTROY, .word = {offset, DESTROY_STEP}};
        if (bw_call(program_key(index, PKEY_RANGE), &m) < 0) {
            break;
        }
        offset += DESTROY_STEP;
    }
    bw_drop_key(program_key(index, PKEY_DOMAIN));
    bw_drop_key(program_key(index, PKEY_RANGE));
    m = (struct message){.code = NUCLEUS_ORPHANS};
    bw_call(KEY_AT(KR_NUCLEUS), &m); /* whom it served */
}

static void finish(struct program *p, enum program_state state, uint64_t exit_word)
{
    p->state = (uint8_t)state;
    p->exit_word = exit_word;
    names_ended(p);
    if (state == PROGRAM_FAILED) {
        names_post("districts"); /* it tells the user */
    }
}

static int64_t start(unsigned index)
{
    struct program *p = &programs[index];
    int64_t result = launch(index);

    p->state = PROGRAM_RUNNING;
    p->ending = false;
    if (result < 0) {
        bw_log("supervisor: %s cannot be started: %lld\n", program_title(p), (long long)result);
        destroy(index);
        finish(p, PROGRAM_FAILED, (uint64_t)result);
    }
    return result;
}

_Static_assert(PROGRAMS_MAX *PKEY_HANDED <= BW_NODE_SLOTS &&
                   PROGRAMS_MAX * BW_MESSAGE_KEYS <= BW_NODE_SLOTS,
               "the keys fit their nodes");

/* Whether drivers and store servers would leave the others the places that they may need. */
static bool is_room_for_disk(void)
{
    unsigned limit = PROGRAMS_MAX - PROGRAMS_OTHERS, count = 0;

    for (unsigned n = 0; n < PROGRAMS_MAX; n++) {
        const struct program *p = &programs[n];

        if (p->policy && is_of_a_disk(p->policy)) {
            count++;
        } else if (p->policy && p->policy->screen && p->state != PROGRAM_ENDED) {
            limit -= PROGRAMS_OF_SCREEN;
        }
    }
    return count < limit;
}

/* The place of the program with this policy and word, or a free one. */
static int place_for(const struct policy *policy, uint64_t word)
{
    int place = -1;

    for (unsigned n = 0; n < PROGRAMS_MAX; n++) {
        if (programs[n].policy == policy && (programs[n].word == word || !has_instances(policy))) {
            return (int)n;
        }
        if (!programs[n].policy && place < 0) {
            place = (int)n;
        }
    }
    return is_of_a_disk(policy) && !is_room_for_disk() ? -1 : place;
}

int64_t program_start(const struct policy *policy, uint64_t word)
{
    int index = place_for(policy, word);
    struct program *p;
    int64_t result;

    if (index < 0) {
        return BW_LIMIT;
    }
    p = &programs[index];
    for (unsigned n = 0; n < BW_MESSAGE_KEYS; n++) {
        bw_copy_key(KEY_AT(KR_ARGUMENT + n), program_key((unsigned)index, PKEY_HANDED + n));
    }
    if (p->policy && (p->state == PROGRAM_RUNNING || p->state == PROGRAM_SILENCING)) {
        return index;
    }
    p->policy = policy;
    p->word = word;
    result = start((unsigned)index);
    return result < 0 ? result : index;
}

static const char *fault_name(int64_t code)
{
    static const char *const name[] = {"system call", "page fault",          "divide error",
                                       "debug trap",  "illegal instruction", "protection fault",
                                       "FPU fault",   "alignment fault",     "no meter"};
    int64_t n = code - FAULT_SYSCALL;

    return n >= 0 && n < (int64_t)(sizeof(name) / sizeof(name[0])) ? name[n] : "unknown fault";
}

static void report(const struct program *p, const struct message *m)
{
    const struct regs *r = m->buffer;

    bw_log("supervisor: %s: %s at address %#llx (error %#llx), rip %#llx\n", program_title(p),
           fault_name(m->code), (unsigned long long)m->word[0], (unsigned long long)m->word[1],
           (unsigned long long)m->word[2]);
    if (m->length < sizeof(*r)) {
        return;
    }
#define R(name) (unsigned long long)r->name
    bw_log("  rax %016llx rbx %016llx rcx %016llx rdx %016llx\n", R(rax), R(rbx), R(rcx), R(rdx));
    bw_log("  rsi %016llx rdi %016llx rbp %016llx rsp %016llx\n", R(rsi), R(rdi), R(rbp), R(rsp));
    bw_log("  r8  %016llx r9  %016llx r10 %016llx r11 %016llx\n", R(r8), R(r9), R(r10), R(r11));
    bw_log("  r12 %016llx r13 %016llx r14 %016llx r15 %016llx\n", R(r12), R(r13), R(r14), R(r15));
#undef R
}

/* The next step of a program that is dead and whose memory may be used again. */
static void finish_dead(unsigned index)
{
    struct program *p = &programs[index];
    bw_time_t now = bw_monotonic();
    bw_time_t *oldest = &p->failed_at[p->restarts % RESTARTS_MAX];

    destroy(index);
    if (p->ending || p->policy->once) {
        finish(p, PROGRAM_ENDED, p->ending ? p->exit_word : (uint64_t)BW_BROKEN);
        return;
    }
    if (p->restarts >= RESTARTS_MAX && now - *oldest < RESTART_WINDOW) {
        bw_log("supervisor: %s has faulted %u times within a minute: given up\n", program_title(p),
               RESTARTS_MAX + 1);
        finish(p, PROGRAM_FAILED, (uint64_t)BW_BROKEN);
        return;
    }
    *oldest = now;
    p->restarts++;
    bw_log("supervisor: %s is started again\n", program_title(p));
    start(index);
}

/* Asks pci to silence the device of a dead program. */
static void silence(unsigned index)
{
    struct program *p = &programs[index];
    struct message m = {.code = PCI_QUIET, .send = {KEY_AT(KR_TEMP)}};
    int64_t result = start_key(BADGE_QUIET | index);

    if (result >= 0) {
        result = bw_send(program_key(index, PKEY_HANDED + POLICY_DEVICE), &m, INVOKE_NOBLOCK);
    }
    p->state = PROGRAM_SILENCING;
    p->retry = result == BW_BUSY;
    if (result < 0 && result != BW_BUSY) {
        bw_log("supervisor: the device of %s cannot be silenced (%lld): not started again\n",
               program_title(p), (long long)result);
        names_forget(index);
        finish(p, PROGRAM_FAILED, (uint64_t)result);
    }
}

/* Whether it has a device that was handed over by pci. */
static bool has_device(unsigned index)
{
    struct message m = {.send = {program_key(index, PKEY_HANDED + POLICY_DEVICE)}};

    bw_self(SELF_IDENTIFY, &m);
    return programs[index].policy->device && (m.word[0] & 0xff) != KEY_VOID;
}

static void stop(unsigned index)
{
    struct message m = {.code = DOMAIN_STOP};

    bw_call(program_key(index, PKEY_DOMAIN), &m);
}

void program_fault(unsigned index, const struct message *m)
{
    if (programs[index].state != PROGRAM_RUNNING) {
        return;
    }
    report(&programs[index], m);
    stop(index);
    if (has_device(index)) {
        names_forget(index);
        silence(index);
    } else {
        finish_dead(index);
    }
}

void program_exit(unsigned index, uint64_t word)
{
    struct program *p = &programs[index];

    if (p->state != PROGRAM_RUNNING) {
        return;
    }
    stop(index);
    if (!p->policy->once) {
        bw_log("supervisor: %s has ended: %lld\n", program_title(p), (long long)word);
    }
    p->ending = true;
    p->exit_word = word;
    if (has_device(index)) {
        names_forget(index);
        silence(index);
    } else {
        finish_dead(index);
    }
}

void program_silent(unsigned index)
{
    if (index < PROGRAMS_MAX && programs[index].state == PROGRAM_SILENCING) {
        finish_dead(index);
    }
}

bw_time_t program_tick(void)
{
    bool again = false;

    for (unsigned n = 0; n < PROGRAMS_MAX; n++) {
        if (programs[n].state == PROGRAM_SILENCING && programs[n].retry) {
            silence(n);
            again |= programs[n].state == PROGRAM_SILENCING && programs[n].retry;
        }
    }
    return again ? bw_monotonic() + QUIET_RETRY : BW_NO_DEADLINE;
}

size_t program_list(char *buffer, size_t size)
{
    static const char *const state[] = {"free", "running", "silencing", "ended", "failed"};
    size_t used = 0;

    for (unsigned n = 0; n < PROGRAMS_MAX && used < size; n++) {
        if (programs[n].policy) {
            int length =
                snprintf(buffer + used, size - used, "%s %s %u\n", program_title(&programs[n]),
                         state[programs[n].state], programs[n].restarts);

            used += (size_t)length;
        }
    }
    return used < size ? used : size - 1;
}
