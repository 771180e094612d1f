/*
 * Programs of the commons that have failed for good: the supervisor, which gives them up, posts, and
 * its list says which. Here it becomes an event, so that the user is told.
 */
#include "given_up.h"
#include <string.h>
#include <bailiwick/names.h>
#include <bailiwick/runtime.h>
#include "events.h"

static uint64_t told; /* mask of lines of the list, which stay where they are */

void given_up_look(void)
{
    static char list[4096];
    struct message m = {.code = NAMES_LIST, .buffer = list, .size = sizeof(list) - 1};
    unsigned n = 0;

    if (bw_call(KEY_AT(KR_NAMES), &m) != BW_OK) {
        return;
    }
    list[m.length] = 0;
    for (char *line = strtok(list, "\n"); line && n < 64; line = strtok(NULL, "\n"), n++) {
        char *state = strstr(line, " failed ");

        if (state && !(told >> n & 1)) {
            *state = 0;
            events_say(EVENT_SERVER, true, line,
                       "has failed too often, and is not started again; 'reboot' does that");
        }
        told = state ? told | 1ull << n : told & ~(1ull << n);
    }
}
