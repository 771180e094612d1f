#!/usr/bin/python3
"""Hostile stores (tests/hostile/forge.c) in a machine: their checksums are right, and what is in them is forged. Each
is refused, or its district runs or dies; the nucleus, the commons and a neighbour go on.

    test_hostile.py [--machines N] [--stores N] [--seed N] [--only SEED]
"""
import argparse
import os
import random
import re
import shutil
import subprocess
import sys

import harness
from machine import BUILD, DETACH, MKDISTRICT, SCRATCH, Machine, MachineError, make_store, make_tree
from test_powercut import HERE

check = harness.Checks
FORGE = os.path.join(BUILD, 'bin', 'forge')
NEIGHBOUR = 'neighbour'
ENDED = r'has ended|attach: [^\r\n]*there is none'

parser = argparse.ArgumentParser()
parser.add_argument('--machines', type=int, default=5)
parser.add_argument('--stores', type=int, default=5, help='in each machine')
parser.add_argument('--seed', type=int, default=int(os.environ.get('BW_SEED', 1)))
parser.add_argument('--only', type=int, help='one store, forged with this seed')
options = parser.parse_args()
sys.argv[1:] = []

folder = os.path.join(SCRATCH, 'hostile-%d' % options.seed)
shutil.rmtree(folder, ignore_errors=True)
os.makedirs(folder)
chance = random.Random(options.seed)


def at(name):
    return os.path.join(folder, name)


def test_a_district_is_made():
    """With processes in all states: shells, a pipeline, sleepers."""
    tree = make_tree(at('tree.tar'), os.path.join(HERE, 'workload'))
    base = make_store(at('base.district'), 'base', size='32M', root=tree)
    make_store(at('neighbour.district'), NEIGHBOUR, size='32M')
    with Machine([base], name='hostile') as m:
        m.login()
        m.restart('base')
        m.sh('sh /workload/run.sh > /dev/null &')
        m.sh('sleep 100000 | cat &')
        m.read_for(1)
        m.detach()
        m.checkpoint('base')
    with open(at('stream'), 'wb') as f:
        subprocess.run([MKDISTRICT, 'export', base], stdout=f, check=True)


def forge(name, seed, *how):
    path = at(name + '.district')
    with open(at('stream'), 'rb') as f:
        subprocess.run([MKDISTRICT, 'import', '--force', '--name', name, path], stdin=f, check=True,
                       stdout=subprocess.DEVNULL)
    done = subprocess.run([FORGE, path, str(seed), *how], capture_output=True, text=True)
    check.equal(done.returncode, 0, 'forge: ' + done.stderr)
    return path, done.stdout.split('\n')


def use(m, name):
    """Whatever its answer is, there is one. Returns a word for it."""
    m.send('restart %s\r' % name)
    m.expect(r'\[attached to [^\r\n]*\r\n|\nrestart: ([^\r\n]*)\r\n')
    if m.match.group(1):
        return 'refused'
    text = m.read_for(0.2 + 0.3 * chance.random())
    if not re.search(ENDED, text):
        m.send('echo hello\n')
        m.read_for(0.1)
        m.send(DETACH)
        m.expect(r'\[detached from [^\]]*\]|' + ENDED)
    m.command('checkpoint ' + name, 60)
    found = re.search(r'^%s +(\S+)' % name, m.command('districts'), re.MULTILINE)
    if chance.random() < 0.5:
        m.command('kill ' + name)
    return found.group(1) if found else 'gone'


def alive(m):
    m.attach(NEIGHBOUR)
    check.contains(m.sh('echo "alive $((6 * 7))"', 60)[1], 'alive 42', 'the neighbour')
    m.detach()
    m.checkpoint(NEIGHBOUR)


def machine(seeds):
    forged = {'h%d' % seed: forge('h%d' % seed, seed) for seed in seeds}
    counts = {}
    with Machine([path for path, _ in forged.values()] + [at('neighbour.district')], memory=512, name='hostile') as m:
        try:
            m.login()
            while NEIGHBOUR not in m.command('districts'):
                pass  # its disk is the last to turn up
            m.restart(NEIGHBOUR)
            m.sh('n=0; while :; do n=$((n+1)); sleep 1; done &')
            m.detach()
            for name, (_, what) in forged.items():
                try:
                    word = use(m, name)
                    counts[word] = counts.get(word, 0) + 1
                    alive(m)
                except (AssertionError, MachineError) as error:
                    raise AssertionError('--only %s, %s: %s' % (name[1:], ', '.join(what), error)) from error
            alive(m)
        finally:
            with open(m.log_path.replace('.log', '.nucleus'), errors='replace') as f:
                log = f.read()
        check.true('invariant' not in log, log[-1000:])
    for path, _ in forged.values():
        os.unlink(path)
    print('       %d stores: %s' % (len(forged), ', '.join('%d %s' % (n, w) for w, n in sorted(counts.items()))))


def test_hostile_stores_harm_nobody():
    if options.only is not None:
        machine([options.only])
        return
    for n in range(options.machines):
        first = (options.seed * 1000 + n) * options.stores
        machine(range(first, first + options.stores))


def test_keys_that_no_store_may_hold_are_refused():
    """Each is where it is met at once; the generation with it is not run."""
    for first in range(0, 12, 4):
        forged = [forge('f%d' % seed, seed, 'forbidden') for seed in range(first, first + 4)]
        with Machine([path for path, _ in forged], memory=512, name='forbidden') as m:
            m.login()
            for seed in range(first, first + 4):
                while 'f%d' % seed not in m.command('districts'):
                    pass
                use(m, 'f%d' % seed)
            with open(m.log_path.replace('.log', '.nucleus'), errors='replace') as f:
                log = f.read()
            for seed, (_, what) in zip(range(first, first + 4), forged):
                check.contains(log, 'f%d: object ' % seed, ', '.join(what))
        for path, _ in forged:
            os.unlink(path)


if __name__ == '__main__':
    harness.main(globals())
