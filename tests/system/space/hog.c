/*
 * Eats memory inside a district.
 *
 *   hog ask       asks for more until there is none, touching all of it; says how much it got
 *   hog touch     is given as much as possible first, and only then touches it
 *   hog read      the same, and has the system fill it
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STEP  (1ul << 20)
#define PARTS 1000u

static char *part[PARTS];

static char *map(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static void touch(char *p)
{
    for (size_t i = 0; i < STEP; i += 4096) {
        p[i] = 1;
    }
}

int main(int count, char **words)
{
    const char *how = count > 1 ? words[1] : "";
    unsigned n = 0;

    while (n < PARTS && (part[n] = map(STEP)) != NULL) {
        if (strcmp(how, "ask") == 0) {
            touch(part[n]);
        } else if (n == 39) { /* none of it is there yet, so there is no end to it */
            n++;
            break;
        }
        n++;
    }
    printf("got %u MiB\n", n);
    fflush(stdout);
    for (unsigned i = 0; i < n; i++) {
        if (strcmp(how, "touch") == 0) {
            touch(part[i]);
        } else if (strcmp(how, "read") == 0 && read(0, part[i], STEP) != (ssize_t)STEP) {
            perror("hog");
            return 1;
        }
    }
    return strcmp(how, "ask") == 0 && n == PARTS;
}
