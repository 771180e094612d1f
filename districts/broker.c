/*
 * The broker of named links (bailiwick/link.h). The nucleus keeps the links and says which wait to
 * be established; the broker finds the other side by its name, asks its publication whether this
 * district may open it, each time anew, and has the nucleus connect the two.
 *
 * It is posted when a link is opened, when something is published, and when a district has been
 * started, and then looks at all links of all running districts: what waits for a district that
 * does not run yet is tried again when that one starts. It never calls a district.
 */
#include "broker.h"
#include <string.h>
#include <bailiwick/link.h>
#include "lifecycle.h"

#define KR_FOUND KEY_AT(29) /* of the other side, for a moment */
#define KR_POST  KEY_AT(29)

int64_t broker_watch(unsigned slot)
{
    struct message m = {.code = DOMAIN_MAKE_START, .word = {BADGE_BROKER}, .take = {KR_POST}};

    bw_call(KEY_AT(KR_SELF), &m);
    m = (struct message){.code = DISTRICT_WATCH, .send = {KR_POST}};
    return bw_call(KEY_DISTRICT_OF(slot), &m);
}

bool broker_allows(const char *access, const char *district)
{
    size_t length = strlen(district);

    while (*access) {
        size_t n = strcspn(access, " ");

        if ((n == 1 && *access == '*') ||
            (n == length && n > 0 && memcmp(access, district, n) == 0)) {
            return true;
        }
        access += n + strspn(access + n, " ");
    }
    return false;
}

/** Finds what a link of `holder` leads to: a key in KR_FOUND. @return false: *why */
static bool find(const struct link_line *line, const char *holder, enum link_reason *why)
{
    unsigned other = registry_find(line->district);
    char access[LINK_ACCESS_MAX] = {0};
    struct message m = {.code = DISTRICT_PUBLISHED, .string = line->name, .buffer = access};

    if (other == 0 || !registry_entry(other)->running) {
        *why = LINK_NO_DISTRICT;
        return false;
    }
    m.length = strlen(line->name);
    m.size = sizeof(access) - 1;
    m.take[0] = KR_FOUND;
    if (bw_call(KEY_DISTRICT_OF(other), &m) != BW_OK) {
        *why = m.code == BW_ABSENT ? LINK_NO_NAME : LINK_NO_DISTRICT; /* it is not up yet */
        return false;
    }
    *why = LINK_REFUSED;
    return broker_allows(access, holder);
}

static int64_t connect(unsigned slot, uint64_t index, uint32_t version, uint16_t key,
                       enum link_reason why)
{
    struct message m = {.code = DISTRICT_LINK, .word = {index, version, why}, .send = {key}};

    return bw_call(KEY_DISTRICT_OF(slot), &m);
}

static void establish(unsigned slot, uint64_t index, const struct link_line *line)
{
    enum link_reason why;
    bool found = find(line, registry_entry(slot)->name, &why);

    if (!found) {
        connect(slot, index, line->version, 0, why);
    } else if (connect(slot, index, line->version, KR_FOUND, LINK_OPENED) == BW_REFUSED) {
        connect(slot, index, line->version, 0, LINK_STRANGER);
    }
    bw_drop_key(KR_FOUND);
}

void broker_run(void)
{
    struct link_line line;

    for (unsigned slot = 1; slot < REGISTRY_MAX; slot++) {
        if (!registry_entry(slot)->running) {
            continue;
        }
        for (uint64_t index = 0; index < LINK_NAMED_MAX; index++) {
            struct message m = {.code = DISTRICT_LINKS, .word = {index}, .buffer = &line};

            m.size = sizeof(line);
            if (bw_call(KEY_DISTRICT_OF(slot), &m) != BW_OK || m.word[0] >= LINK_NAMED_MAX) {
                break;
            }
            index = m.word[0];
            if (line.wanted && line.state == LINK_SEVERED) {
                establish(slot, index, &line);
            }
        }
    }
}
