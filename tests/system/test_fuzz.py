#!/usr/bin/python3
"""Millions of random invocations (fuzz/) against the nucleus, by the commons and three districts with links between them
that are killed meanwhile: it must not panic, hang, lose memory, tear a checkpoint or let anybody gain a key. The seed is printed; the same seed and machine size make the same scripts.

    test_fuzz.py [--long] [--seed N] [--rounds N]
"""
import argparse
import os
import random
import shutil
import sys
import time

import pexpect

import harness
from machine import BOOT, SCRATCH, SLOW

IMAGE = os.path.join(SCRATCH, 'fuzz')
QUIET = 45  # seconds without a line: the machine hangs

parser = argparse.ArgumentParser()
parser.add_argument('--long', action='store_true', help='twelve machines, and longer')
parser.add_argument('--seed', type=int, default=int(os.environ.get('BW_SEED', time.time())) % 1000000)
parser.add_argument('--rounds', type=int, help='of about a second each')
options = parser.parse_args()
sys.argv[1:] = []


def fuzz(seed, memory, rounds):
    """One machine; returns how many invocations it made."""
    name = os.path.join(SCRATCH, 'log', 'fuzz-%d-%d' % (seed, memory))
    command = ['-machine', 'pc', '-cpu', 'max', '-accel', 'tcg', '-m', str(memory), '-nodefaults',
               '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio',
               '-debugcon', 'file:%s.debug' % name, '-kernel', os.path.join(BOOT, 'nucleus.elf'),
               '-initrd', 'supervisor.elf', '-append', 'seed=%d rounds=%d' % (seed, rounds)]
    print('seed %d, %d MiB, %d rounds' % (seed, memory, rounds), flush=True)
    made = 0
    with open(name + '.log', 'w', encoding='utf-8') as log:
        child = pexpect.spawn('qemu-system-x86_64', command, cwd=IMAGE, encoding='utf-8',
                              codec_errors='replace', timeout=QUIET * SLOW)
        child.logfile_read = log
        try:
            while True:
                found = child.expect([r'fuzz round \d+: (\d+) invocations[^\n]*\n', r'fuzz done\r',
                                      r'fuzz FAILED: ([^\r\n]*)\r', r'(broken invariant[^\r\n]*)\r',
                                      pexpect.TIMEOUT, pexpect.EOF])
                if found == 0:
                    made = int(child.match.group(1))
                elif found == 1:
                    return made
                else:
                    what = child.match.group(1) if found in (2, 3) else 'it hangs' if found == 4 else 'it ended'
                    raise AssertionError('seed %d, %d MiB: %s (%s.log)' % (seed, memory, what, name))
        finally:
            child.kill(9)
            child.close()


def machines():
    chance = random.Random(options.seed)
    rounds = options.rounds or (60 if options.long else 6)
    for i in range(12 if options.long else 2):
        yield options.seed * 100 + i, (256, 64)[i % 2] if i < 2 else chance.choice((48, 64, 128, 512)), rounds


def test_invocations():
    total = sum(fuzz(*machine) for machine in machines())
    print('%d invocations' % total)
    harness.Checks.true(total > 100000, 'too few invocations: %d' % total)


os.makedirs(os.path.join(SCRATCH, 'log'), exist_ok=True)
os.makedirs(IMAGE, exist_ok=True)
shutil.copy(os.path.join(BOOT, 'bench_fuzz.elf'), os.path.join(IMAGE, 'supervisor.elf'))
if __name__ == '__main__':
    harness.main(globals())
