/*
 * eager: asks the terminal for a line without rest, until there is one. Whoever does that meets
 * Ctrl-C inside a system call, with what was typed after it right behind.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    char line[80];
    int fd = open("/dev/tty", O_RDONLY | O_NONBLOCK);

    if (fd < 0) {
        perror("/dev/tty");
        return 2;
    }
    puts("eager");
    fflush(stdout);
    while (read(fd, line, sizeof(line)) <= 0) {
    }
    return 0;
}
