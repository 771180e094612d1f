/*
 * Sends keys without end, each another one, over a link to an echo that keeps them, and asks for
 * named links, so that both link tables fill up. What it is refused it tells in the nucleus's log:
 *
 *     flood: named links opened: N, then result R
 *     flood: N keys sent
 *
 *     mkdistrict --program 'bench_flood greedy' ... helper.district
 *
 * The word: the district of the echo.
 */
#include <string.h>
#include <bailiwick/image.h>
#include <bailiwick/program.h>
#include "echo.h"

#define KR_ECHO  KEY_AT(24)
#define KR_START KEY_AT(25)
#define KR_LINK  KEY_AT(26)
#define BADGES   65536u
#define TELL     4096u

typedef unsigned long long number;

static const struct image_arguments *const arguments =
    (const struct image_arguments *)IMAGE_WINDOW(1);

static void open_links(const char *echo)
{
    unsigned opened = 0;
    int64_t result;

    while ((result = bw_link_open(echo, ECHO_NAME, LINK_AUTO, 0, KR_LINK)) == BW_OK) {
        opened++;
    }
    bw_log("flood: named links opened: %u, then result %lld", opened, (long long)result);
}

int main_native(uint64_t word)
{
    const char *echo = arguments->exec + strlen(arguments->exec) + 1;
    uint64_t sent = 0;

    (void)word;
    bw_assert(bw_link_open(echo, ECHO_NAME, LINK_AUTO, 0, KR_ECHO) == BW_OK);
    open_links(echo);
    for (uint64_t tries = 0;; tries++) {
        struct message m = {
            .code = DOMAIN_MAKE_START, .word = {tries % BADGES}, .take = {KR_START}};

        bw_call(KEY_AT(KR_SELF), &m);
        m = (struct message){.code = ECHO_NEXT, .word = {tries}, .send = {KR_START}};
        if (bw_call(KR_ECHO, &m) == BW_OK && ++sent % TELL == 0) {
            bw_log("flood: %llu keys sent", (number)sent);
        }
    }
}
