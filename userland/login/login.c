/*
 * login: at one terminal, its word, it shows who we are, asks who is there, and starts the shell
 * for `guest`, the one account. When the shell ends it asks again.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <bailiwick/names.h>
#include "../shell/lineedit.h"
#include "../shell/screen.h"

#define BANNER                                                                                     \
    "\nBailiwick, an operating system whose programs survive the power.\nLog in as guest.\n\n"

static struct line_edit line = {.prompt = "login: ", .put = screen_put};

/** Reads one line; blanks around it are dropped. @return false if it was given up */
static bool ask(char *name, size_t size)
{
    enum line_event event;
    char *from = line.text;
    size_t n;

    line_begin(&line);
    while ((event = line_type(&line, screen_get())) == LINE_MORE) {
    }
    from += strspn(from, " ");
    n = strcspn(from, " ");
    snprintf(name, size, "%.*s", (int)(n < size ? n : size - 1), from);
    return event == LINE_DONE && name[0] != 0;
}

static void run_shell(uint64_t terminal)
{
    struct message m = {.code = NAMES_SPAWN, .word = {terminal}, .string = "shell"};

    m.length = strlen("shell");
    if (bw_call(KEY_AT(KR_NAMES), &m) < 0) {
        screen_print("login: the shell cannot be started (%lld)\n", (long long)m.code);
        return;
    }
    m = (struct message){.code = NAMES_WAIT, .word = {terminal}, .string = "shell"};
    m.length = strlen("shell");
    bw_call(KEY_AT(KR_NAMES), &m);
    screen_open(terminal);
}

int main_native(uint64_t word)
{
    struct message ready = {.code = NAMES_READY};
    char name[32];

    screen_open(word);
    line.columns = screen_columns();
    bw_call(KEY_AT(KR_NAMES), &ready);
    screen_print(BANNER);
    for (;;) {
        if (!ask(name, sizeof(name))) {
            continue;
        }
        if (strcmp(name, "guest") != 0) {
            screen_print("Login incorrect\n\n");
            continue;
        }
        run_shell(word);
        screen_print(BANNER);
    }
}
