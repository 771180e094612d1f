#!/usr/bin/python3
"""System calls on files, pipes, waiting and memory, looked at by a C program inside a district (posix/), and
random system calls (posix/fuzz.c), which harm nothing but the process that makes them."""
import os
import subprocess

import harness
from machine import SCRATCH, Machine, make_store, make_tree, verify_store

check = harness.Checks

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'posix')
FOLDER = os.path.join(SCRATCH, 'posix')
STORE = os.path.join(FOLDER, 'posix.district')
SEED = int(os.environ.get('BW_SEED', '1'))
ROUNDS = 12


def build():
    """The programs, statically linked, in a tree laid over the usual one."""
    programs = os.path.join(FOLDER, 'overlay', 'usr', 'bin')
    os.makedirs(programs, exist_ok=True)
    for name, sources in (('posix', ('main', 'files', 'pipes', 'sockets', 'waits', 'maps', 'registers')), ('fuzz', ('fuzz',)), ('eager', ('eager',))):
        subprocess.run(['gcc', '-std=gnu11', '-static', '-O1', '-Wall', '-Wextra', '-Wshadow', '-Werror',
                        '-o', os.path.join(programs, name), *(s + '.c' for s in sources)], cwd=HERE, check=True)
    return make_tree(os.path.join(FOLDER, 'tree.tar'), os.path.join(FOLDER, 'overlay'))


machine = Machine([make_store(STORE, 'posix', root=build())], name='posix')


def group(name, timeout=60):
    status, text = machine.sh('posix ' + name, timeout)
    check.equal((status, text.strip()), (0, 'posix: 0 failures'))


def test_restart():
    machine.login()
    check.equal(machine.restart('posix'), 0)


def test_data():
    group('data')


def test_names():
    group('names')


def test_descriptors():
    group('descriptors')


def test_pipes():
    group('pipes')


def test_sockets():
    group('sockets')


def test_waits():
    group('waits')


def test_locks():
    group('locks')


def test_maps():
    group('maps')


def test_devices():
    group('devices')


def test_registers():
    group('registers', 120)


def test_what_is_typed_after_ctrl_c():
    """It is for the shell, not for the program that Ctrl-C ends, even if that one reads at that very moment."""
    for i in range(20):
        machine.send('eager\n')
        machine.expect('eager\r\neager\r\n')
        machine.send('\x03echo typed""%d\n' % i)
        machine.expect('typed%d\r\n' % i, 10)


def test_random_calls():
    status, text = machine.sh('fuzz %d %d < /dev/null > /dev/null 2>&1' % (ROUNDS, SEED), timeout=240)
    check.equal((status, text), (0, ''), 'seed %d' % SEED)
    status, text = machine.sh('posix data', 60)
    check.equal(status, 0, text)


def test_the_store_is_sound():
    machine.sh('rm -rf /tmp/fuzz; sync')
    machine.detach()
    machine.checkpoint('posix')
    machine.unplug()
    verify_store(STORE)


if __name__ == '__main__':
    harness.main(globals(), machine.close)
