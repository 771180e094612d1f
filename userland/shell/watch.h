/*
 * What happens and what is under way: events, scrubs. See watch.c.
 */
#ifndef SHELL_WATCH_H
#define SHELL_WATCH_H

#include "commands.h"

enum command_result watch_events(int count, char **words);
enum command_result watch_scrub(int count, char **words);
/** Shows important events that this shell has not shown yet, one line each. */
void watch_news(void);

#endif
