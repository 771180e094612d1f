/*
 * What a word of a command line may become. See completion.c.
 */
#ifndef SHELL_COMPLETION_H
#define SHELL_COMPLETION_H

#include "lineedit.h"

/** For struct line_edit. */
size_t completion(void *ctx, const char *text, size_t start, size_t cursor,
                  char words[LINE_WORDS][LINE_WORD]);

#endif
