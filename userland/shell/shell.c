/*
 * The shell of the commons, where people look after districts. It keeps nothing: what it knows it
 * asks districtd and the store servers for each time.
 */
#include <string.h>
#include <bailiwick/names.h>
#include "commands.h"
#include "completion.h"
#include "format.h"
#include "lineedit.h"
#include "screen.h"
#include "watch.h"

static struct line_edit line = {
    .prompt = "guest@bailiwick$ ", .put = screen_put, .complete = completion};

/** Runs the line that was typed. */
static enum command_result run_line(void)
{
    char *words[WORDS_MAX];
    int count;

    line_remember(&line, line.text);
    count = split_words(line.text, words, WORDS_MAX);
    if (count == 0) {
        return COMMAND_DONE;
    }
    if (count < 0) {
        screen_print(count == -1 ? "a quote is not closed\n" : "too many words\n");
        return COMMAND_DONE;
    }
    return command_run(count, words);
}

/** Reads and runs lines until the user logs out. */
static void interact(void)
{
    for (;;) {
        enum line_event event;

        watch_news();
        line_begin(&line);
        while ((event = line_type(&line, screen_get())) == LINE_MORE) {
        }
        if (event == LINE_END || (event == LINE_DONE && run_line() == COMMAND_LOGOUT)) {
            return;
        }
    }
}

int main_native(uint64_t word)
{
    struct message ready = {.code = NAMES_READY};

    screen_open(word);
    line.columns = screen_columns();
    bw_call(KEY_AT(KR_NAMES), &ready);
    screen_print(
        "\nWelcome to Bailiwick. 'districts' lists your districts, 'help' all commands.\n");
    interact();
    screen_print("logout\n");
    return 0;
}
