/*
 * Line editing.
 *
 * Invariants between calls:
 *   1. length < LINE_SIZE, text[length] is NUL, cursor <= length, first <= cursor.
 *   2. The terminal shows, from its first column, the prompt and text[first ..] as far as it fits,
 *      and its cursor stands at text[cursor].
 */
#include "lineedit.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define CONTROL(c) ((c)&0x1f)

static void put(struct line_edit *l, const char *text)
{
    l->put(l->ctx, text, strlen(text));
}

/** How many characters of the line fit behind the prompt. */
static size_t visible(const struct line_edit *l)
{
    size_t columns = l->columns ? l->columns : 80;
    size_t taken = strlen(l->prompt) + 1;

    return columns > taken + 8 ? columns - taken : 8;
}

static size_t shown_length(const struct line_edit *l)
{
    size_t rest = l->length - l->first;

    return rest < visible(l) ? rest : visible(l);
}

/** The part of the line that is shown must contain the cursor. @return true if it had to move */
static bool scroll(struct line_edit *l)
{
    size_t first = l->first;

    if (l->cursor < l->first) {
        l->first = l->cursor;
    }
    if (l->cursor - l->first > visible(l)) {
        l->first = l->cursor - visible(l);
    }
    return l->first != first;
}

/** Writes the text from `from` on, and puts the terminal's cursor back to the line's, in one piece.
 */
static void draw(struct line_edit *l, const char *before, size_t from)
{
    char out[LINE_SIZE + 128];
    size_t end = l->first + shown_length(l);
    size_t n;

    n = (size_t)snprintf(out, sizeof(out), "%.*s%.*s\x1b[K", 100, before, (int)(end - from),
                         l->text + from);
    if (end > l->cursor) {
        snprintf(out + n, sizeof(out) - n, "\x1b[%uD", (unsigned)(end - l->cursor));
    }
    put(l, out);
}

/** Draws the whole line again. */
static void redraw(struct line_edit *l)
{
    char before[64];

    scroll(l);
    snprintf(before, sizeof(before), "\r%s", l->prompt);
    draw(l, before, l->first);
}

/** Draws what has changed: the text from `from` on. The terminal's cursor is at `at`, not before
 * it. */
static void refresh(struct line_edit *l, size_t from, size_t at)
{
    char before[32] = "";

    if (scroll(l) || from < l->first) {
        redraw(l);
        return;
    }
    if (at > from) {
        snprintf(before, sizeof(before), "\x1b[%uD", (unsigned)(at - from));
    }
    draw(l, before, from);
}

void line_begin(struct line_edit *l)
{
    l->length = l->cursor = l->first = 0;
    l->text[0] = 0;
    l->escape = ESCAPE_NONE;
    l->browsing = l->entries;
    put(l, l->prompt);
}

static void insert(struct line_edit *l, char c)
{
    if (l->length + 1 >= LINE_SIZE) {
        put(l, "\a");
        return;
    }
    memmove(l->text + l->cursor + 1, l->text + l->cursor, l->length - l->cursor + 1);
    l->text[l->cursor++] = c;
    l->length++;
    if (l->cursor == l->length && l->length - l->first <= visible(l)) {
        l->put(l->ctx, &c, 1);
    } else {
        refresh(l, l->cursor - 1, l->cursor - 1);
    }
}

/** Removes text[from .. to) and puts the cursor there. */
static void erase(struct line_edit *l, size_t from, size_t to)
{
    size_t at = l->cursor;

    if (from == to) {
        return;
    }
    memmove(l->text + from, l->text + to, l->length - to + 1);
    l->length -= to - from;
    l->cursor = from;
    refresh(l, from, at);
}

static void move_to(struct line_edit *l, size_t to)
{
    char move[32];
    size_t at = l->cursor;

    l->cursor = to;
    if (scroll(l)) {
        redraw(l);
    } else if (at != to) {
        snprintf(move, sizeof(move), "\x1b[%u%c", (unsigned)(at > to ? at - to : to - at),
                 at > to ? 'D' : 'C');
        put(l, move);
    }
}

static void backspace(struct line_edit *l)
{
    if (l->cursor == 0) {
        return;
    }
    if (l->cursor == l->length && l->cursor > l->first) {
        l->text[--l->length] = 0;
        l->cursor--;
        put(l, "\b \b");
        return;
    }
    erase(l, l->cursor - 1, l->cursor);
}

/** Removes what is behind the cursor. */
static void erase_end(struct line_edit *l)
{
    l->length = l->cursor;
    l->text[l->length] = 0;
    refresh(l, l->cursor, l->cursor);
}

static void erase_word(struct line_edit *l)
{
    size_t from = l->cursor;

    while (from > 0 && l->text[from - 1] == ' ') {
        from--;
    }
    while (from > 0 && l->text[from - 1] != ' ') {
        from--;
    }
    erase(l, from, l->cursor);
}

static void delete_forward(struct line_edit *l)
{
    if (l->cursor < l->length) {
        erase(l, l->cursor, l->cursor + 1);
    }
}

/** Shows history entry `to`; the line under way is kept as the entry behind the last. */
static void browse(struct line_edit *l, unsigned to)
{
    unsigned oldest = l->entries > LINE_HISTORY ? l->entries - LINE_HISTORY : 0;
    size_t at;
    bool scrolled;

    if (to < oldest || to > l->entries || to == l->browsing) {
        return;
    }
    if (l->browsing == l->entries) {
        memcpy(l->unfinished, l->text, LINE_SIZE);
    }
    at = l->cursor;
    scrolled = l->first != 0;
    l->first = 0;
    l->browsing = to;
    memcpy(l->text, to == l->entries ? l->unfinished : l->history[to % LINE_HISTORY], LINE_SIZE);
    l->length = l->cursor = strlen(l->text);
    if (scrolled) {
        redraw(l);
    } else {
        refresh(l, 0, at);
    }
}

static void browse_back(struct line_edit *l)
{
    if (l->browsing > 0) {
        browse(l, l->browsing - 1);
    }
}

void line_remember(struct line_edit *l, const char *text)
{
    if (text[strspn(text, " ")] == 0 ||
        (l->entries > 0 && strcmp(text, l->history[(l->entries - 1) % LINE_HISTORY]) == 0)) {
        return;
    }
    snprintf(l->history[l->entries % LINE_HISTORY], LINE_SIZE, "%s", text);
    l->entries++;
}

/** The final byte of an escape sequence, ESC [ ... c or ESC O c. */
static void escape_key(struct line_edit *l, uint8_t c)
{
    if (c == '~') { /* the number says which key */
        static const char keys[] = {[1] = 'H', [3] = 'X', [4] = 'F', [7] = 'H', [8] = 'F'};
        c = l->parameter < sizeof(keys) ? (uint8_t)keys[l->parameter] : 0;
    }
    switch (c) {
    case 'A':
        browse_back(l);
        break;
    case 'B':
        browse(l, l->browsing + 1);
        break;
    case 'C':
        move_to(l, l->cursor < l->length ? l->cursor + 1 : l->cursor);
        break;
    case 'D':
        move_to(l, l->cursor > 0 ? l->cursor - 1 : 0);
        break;
    case 'H':
        move_to(l, 0);
        break;
    case 'F':
        move_to(l, l->length);
        break;
    case 'X':
        delete_forward(l);
        break;
    default:
        break;
    }
}

/** One byte inside an escape sequence. */
static void escape_byte(struct line_edit *l, uint8_t c)
{
    if (l->escape == ESCAPE_BEGUN) {
        l->escape = c == '[' ? ESCAPE_CSI : c == 'O' ? ESCAPE_SS3 : ESCAPE_NONE;
        l->parameter = l->parameters = 0;
    } else if (l->escape == ESCAPE_CSI && c >= '0' && c <= '9') {
        if (l->parameters == 0 && l->parameter < 1000) {
            l->parameter = l->parameter * 10 + (c - '0');
        }
    } else if (l->escape == ESCAPE_CSI && c >= 0x20 && c <= 0x3f) {
        l->parameters++;
    } else {
        l->escape = ESCAPE_NONE;
        escape_key(l, c);
    }
}

/** How many bytes the words have in common at their start. */
static size_t common(char words[LINE_WORDS][LINE_WORD], size_t count)
{
    size_t n = strlen(words[0]);

    for (size_t i = 1; i < count; i++) {
        size_t same = 0;

        while (same < n && words[i][same] == words[0][same]) {
            same++;
        }
        n = same;
    }
    return n;
}

/** Shows the words in columns, then the line again. */
static void show_words(struct line_edit *l, char words[LINE_WORDS][LINE_WORD], size_t count)
{
    size_t width = 0, columns = l->columns ? l->columns : 80;

    for (size_t i = 0; i < count; i++) {
        width = strlen(words[i]) + 2 > width ? strlen(words[i]) + 2 : width;
    }
    for (size_t i = 0, at = columns; i < count; i++, at += width) {
        char cell[LINE_WORD + 4];

        if (at + width > columns) {
            put(l, "\r\n");
            at = 0;
        }
        snprintf(cell, sizeof(cell), "%-*s", (int)width, words[i]);
        put(l, cell);
    }
    put(l, "\r\n");
    redraw(l);
}

static void insert_text(struct line_edit *l, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        insert(l, text[i]);
    }
}

static void complete(struct line_edit *l)
{
    static char words[LINE_WORDS][LINE_WORD];
    size_t start = l->cursor;
    size_t count, typed, same;

    while (start > 0 && l->text[start - 1] != ' ') {
        start--;
    }
    typed = l->cursor - start;
    count = l->complete ? l->complete(l->ctx, l->text, start, l->cursor, words) : 0;
    same = count ? common(words, count) : 0;
    if (count == 0) {
        put(l, "\a");
    } else if (count == 1 || same > typed) {
        insert_text(l, words[0] + typed, same - typed);
        if (count == 1) {
            insert(l, ' ');
        }
    } else {
        show_words(l, words, count);
    }
}

static enum line_event finish(struct line_edit *l, const char *text, enum line_event event)
{
    put(l, text);
    put(l, "\r\n");
    return event;
}

static enum line_event control(struct line_edit *l, uint8_t c)
{
    switch (c) {
    case '\r':
    case '\n':
        return finish(l, "", LINE_DONE);
    case CONTROL('C'):
        return finish(l, "^C", LINE_CANCELLED);
    case CONTROL('D'):
        if (l->length == 0) {
            return finish(l, "", LINE_END);
        }
        delete_forward(l);
        break;
    case '\b':
    case 0x7f:
        backspace(l);
        break;
    case '\t':
        complete(l);
        break;
    case CONTROL('A'):
        move_to(l, 0);
        break;
    case CONTROL('E'):
        move_to(l, l->length);
        break;
    case CONTROL('B'):
        escape_key(l, 'D');
        break;
    case CONTROL('F'):
        escape_key(l, 'C');
        break;
    case CONTROL('P'):
        browse_back(l);
        break;
    case CONTROL('N'):
        browse(l, l->browsing + 1);
        break;
    case CONTROL('K'):
        erase_end(l);
        break;
    case CONTROL('U'):
        erase(l, 0, l->cursor);
        break;
    case CONTROL('W'):
        erase_word(l);
        break;
    case CONTROL('L'):
        put(l, "\x1b[H\x1b[2J");
        redraw(l);
        break;
    case 0x1b:
        l->escape = ESCAPE_BEGUN;
        break;
    default:
        break;
    }
    return LINE_MORE;
}

enum line_event line_type(struct line_edit *l, uint8_t c)
{
    int after_return = l->after_return;

    l->after_return = c == '\r';
    if (c == '\n' && after_return) {
        return LINE_MORE;
    }
    if (l->escape != ESCAPE_NONE && c >= 0x20 && c < 0x7f) {
        escape_byte(l, c);
        return LINE_MORE;
    }
    l->escape = ESCAPE_NONE;
    if (c < 0x20 || c == 0x7f) {
        return control(l, c);
    }
    if (c < 0x7f) {
        insert(l, (char)c);
    }
    return LINE_MORE;
}
