#!/usr/bin/python3
"""A bank in three districts: a teller moves money between two tills, over links, while each of them is killed, goes back to
its newest or an older generation and is restarted again and again, alone or with others, and the power goes. An oracle
outside (storm/oracle.py) follows every transfer: with plain links each one that was lost or made twice was told to the
teller by SEVERED, RELINKED or RESTARTED; with gated links (and restarts from the newest generation), and in bonded districts,
the sum is always right.

    test_storm.py [--faults N] [--seed N] [TEST]...
"""
import argparse
import os
import random
import re
import sys
import time

import harness
from machine import SCRATCH, SLOW, Machine, make_store, verify_store

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'storm'))
from oracle import Oracle  # noqa: E402

TILLS, TELLER, WHISTLE = ('left', 'right'), 'teller', 'whistle'
BANK = (*TILLS, TELLER)
KEPT = 16         # generations of each district
REST_EVERY = 25   # faults
PATIENCE = 60     # seconds until what must come has come

parser = argparse.ArgumentParser()
parser.add_argument('--faults', type=int, default=50)
parser.add_argument('--seed', type=int, default=int(os.environ.get('BW_SEED', time.time())) % 1000000)
options, rest = parser.parse_known_args()
sys.argv[1:] = rest
chance = random.Random(options.seed)


class Storm:
    def __init__(self, kind):
        self.kind = kind
        self.oracle = Oracle(TILLS, TELLER, kind)
        self.faults = 0
        programs = {name: 'bench_till' for name in (*TILLS, WHISTLE)}
        programs[TELLER] = 'bench_teller %s %s 5 %s' % (*TILLS, kind)
        self.stores = [make_store(os.path.join(SCRATCH, 'storm', '%s-%s.district' % (kind, name)), name, size='32M',
                                  interval='30ms' if kind == 'gated' else '100ms', native=[program]) for name, program in programs.items()]
        self.machine = Machine(self.stores, name='storm-' + kind)
        self.log = self.machine.log_path.replace('.log', '.nucleus')
        self.read = 0
        self.part = ''
        self.machine.login()
        for name in BANK:
            self.start(name)
        for name in BANK:
            self.machine.command('retention %s %d,0,0,0' % (name, KEPT))
        if kind == 'bonded':
            self.progress(5)
            harness.Checks.contains(self.machine.command('bond ' + ' '.join(BANK)), 'bonded with')
            self.oracle.bonded()
        # So that none goes back to before its links, or its bond.
        first = max(self.machine.checkpoint(name) for name in BANK)
        while min(self.machine.checkpoint(name) for name in BANK) < first + KEPT + 2:
            self.progress(1)

    # -- what is seen -------------------------------------------------------------------------------------

    def look(self):
        """The oracle reads what is new in the log."""
        with open(self.log, encoding='utf-8', errors='replace') as f:
            f.seek(self.read)
            text = self.part + f.read()
            self.read = f.tell()
        *lines, self.part = text.split('\n')
        with open(self.log + '.all', 'a', encoding='utf-8') as f:  # of each boot, numbered as the oracle does
            f.writelines(line + '\n' for line in lines)
        for line in lines:
            self.oracle.read(line)

    def wait_for(self, what, condition):
        end = time.monotonic() + PATIENCE * SLOW
        while not condition():
            if time.monotonic() > end:
                raise AssertionError('%s: it did not come; links: %s' % (what, self.machine.command('links ' + TELLER)))
            time.sleep(0.02)
            self.look()

    def progress(self, changes):
        """Money is moved."""
        before = self.oracle.counts['changes']
        self.wait_for('transfers go on', lambda: self.oracle.counts['changes'] >= before + changes)

    # -- what is done -------------------------------------------------------------------------------------

    def start(self, name):
        self.machine.restart(name)
        self.machine.detach()

    def start_some(self, names):
        """In any order; bonded ones are started by the first."""
        for name in chance.sample(names, 1 if self.kind == 'bonded' else len(names)):
            self.start(name)

    def kill(self, *names):
        if self.kind == 'bonded':
            names = names[:1]
        for name in names:
            self.machine.command('kill ' + name)
        self.start_some(BANK if self.kind == 'bonded' else names)

    def go_back(self, name, back):
        text = self.machine.command('rollback %s --back %d' % (name, back))
        if found := re.search(r'can go back (\d+) generations', text):  # the oldest ones may just be dropped
            text = self.machine.command('rollback %s --back %d' % (name, max(0, int(found.group(1)) - 3)))
        if self.kind == 'bonded' and 'does not keep the generation' in text:  # another one has dropped its part
            text = self.machine.command('rollback ' + name)
        if not re.search(r'%s: runs from generation \d+' % name, text):
            raise AssertionError('rollback %s: %r' % (name, text))

    def incarnation(self, name):
        found = re.search(r'^%s +(?:running|starting) +\d+ +(\d+) ' % name, self.machine.command('districts'), re.MULTILINE)
        if not found:
            raise AssertionError('%s does not run' % name)
        return int(found.group(1))

    def checkpoint(self, name):
        run = self.incarnation(name)
        self.look()
        made = self.oracle.changes(name, run)
        self.oracle.acknowledged(name, self.machine.checkpoint(name), made)

    def power_cut(self):
        self.machine.unplug()
        self.look()
        self.read, self.part = 0, ''
        self.machine.start()
        self.machine.login()
        self.start_some(BANK)

    def fault(self):
        name = chance.choice(BANK)
        what = chance.randrange(20)
        if what == 0:
            self.power_cut()
        elif what < 3:
            self.kill(*chance.sample(BANK, 2))
        elif what < 9:
            self.kill(name)
        else:
            self.go_back(name, 0 if what < 15 or self.kind == 'gated' else chance.randint(1, 4))
        self.faults += 1
        self.look()
        if chance.randrange(3) == 0:
            self.checkpoint(chance.choice(BANK))
        if chance.randrange(2) == 0:
            self.progress(chance.randint(1, 8 if self.kind == 'gated' else 40))
        else:
            time.sleep(chance.random() / 5)

    def rest(self):
        """The teller comes to rest; the oracle looks at all transfers."""
        self.start(WHISTLE)
        self.wait_for('the teller rests', lambda: self.oracle.rests)
        for name in TILLS:
            run = self.incarnation(name)
            self.wait_for('word of %s' % name, lambda: self.oracle.tills[name].run == run)
        total = self.oracle.check_rest()
        self.machine.command('kill ' + WHISTLE)
        self.progress(1)
        return total

    def run(self):
        try:
            while self.faults < options.faults:
                self.fault()
                if self.faults % REST_EVERY == 0 or self.faults == options.faults:
                    total = self.rest()
            counts = self.oracle.counts
            print('%s, %d faults, seed %d: %d changes of tills, the sum is %d; %d transfers were found lost or repeated; '
                  'told: %s' % (self.kind, self.faults, options.seed, counts['changes'], total, counts['wrong'],
                                ', '.join('%d %s' % (counts[k], k) for k in ('SEVERED', 'RELINKED', 'RESTARTED'))))
            return self.oracle
        finally:
            self.machine.close()
            for store in self.stores:
                verify_store(store)


def test_plain_links():
    oracle = Storm('plain').run()
    harness.Checks.true(oracle.counts['wrong'], 'the storm was too weak to lose anything')


def test_gated_links():
    Storm('gated').run()


def test_bonded_districts():
    Storm('bonded').run()


if __name__ == '__main__':
    harness.main(globals())
