#!/usr/bin/python3
"""Connects this terminal to a machine's console socket. Ctrl-\\ ends (everything else goes through)."""
import os
import select
import socket
import sys
import termios
import tty


def main(path):
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(path)
    except OSError as error:
        sys.exit('%s: %s' % (path, error.strerror))
    settings = termios.tcgetattr(0) if os.isatty(0) else None
    print('Connected; Ctrl-\\ disconnects.')
    try:
        if settings:
            tty.setraw(0)
        while True:
            ready, _, _ = select.select([0, line], [], [])
            if line in ready:
                data = line.recv(65536)
                if not data:
                    return
                os.write(1, data)
            if 0 in ready:
                data = os.read(0, 4096)
                if not data or b'\x1c' in data:
                    return
                line.sendall(data)
    finally:
        if settings:
            termios.tcsetattr(0, termios.TCSADRAIN, settings)
            print()


if __name__ == '__main__':
    main(sys.argv[1])
