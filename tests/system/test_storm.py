#!/usr/bin/python3
"""A bank in three districts: a teller moves money between two tills, over links, while each of them is killed, goes back to
its newest or an older generation and is restarted again and again, alone or with others, and the power goes. An oracle
outside (storm/oracle.py) follows every transfer: with plain links each one that was lost or made twice was told to the
teller by SEVERED, RELINKED or RESTARTED; with gated links (and restarts from the newest generation), and in bonded districts,
the sum is always right.

With --servers, store servers, districtd and the disks' drivers fail too, by themselves, each about once in 1500 of
their invocations, before any of them (build/failing), and nobody gives them up. An order may then have no answer, or be carried
out by half: what does not run is started again, and that must be all that it takes.

    test_storm.py [--servers] [--faults N] [--seed N] [TEST]...
"""
import argparse
import collections
import itertools
import os
import random
import re
import sys
import time

import harness
from machine import (BOOT, DETACH, PROMPT, SCRATCH, SLOW, Machine, MachineError, make_store, verify_store,
                     with_failing)

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'storm'))
from oracle import Oracle  # noqa: E402

TILLS, TELLER, WHISTLE = ('left', 'right'), 'teller', 'whistle'
BANK = (*TILLS, TELLER)
KEPT = 16         # generations of each district
REST_EVERY = 25   # faults
PATIENCE = 60     # seconds until what must come has come

parser = argparse.ArgumentParser()
parser.add_argument('--faults', type=int, default=50)
parser.add_argument('--servers', action='store_true')
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
        folder = os.path.join(SCRATCH, 'storm', kind + '-servers' * options.servers)
        self.stores = [make_store(os.path.join(folder, name + '.district'), name, size='32M',
                                  interval='30ms' if kind == 'gated' else '100ms', native=[program]) for name, program in programs.items()]
        self.wanted = BANK  # what is to run
        self.ended = collections.Counter()  # districts that the failure of a server has ended, by what was said
        boot = with_failing(folder) if options.servers else BOOT
        self.machine = Machine(self.stores, name='storm-' + kind, boot=boot)
        self.log = self.machine.log_path.replace('.log', '.nucleus')
        self.read = 0
        self.part = ''
        self.machine.login()
        for name in BANK:
            self.start(name)
        for name in BANK:
            self.until(' the last %d ' % KEPT, 'retention %s %d,0,0,0' % (name, KEPT))
        if kind == 'bonded':
            self.progress(5)
            end = time.monotonic() + PATIENCE * SLOW
            while 'left: bonded with right, teller' not in (text := self.machine.command('bond left')):
                harness.Checks.true(time.monotonic() < end, text)
                text = self.machine.command('bond ' + ' '.join(BANK), 60)
                harness.Checks.true(options.servers or 'they are checkpointed, restarted' in text, text)
                self.start_ended()
            self.oracle.bonded()
        # So that none goes back to before its links, or its bond.
        first = max(self.checkpoint(name) for name in BANK)
        while min(self.checkpoint(name) for name in BANK) < first + KEPT + 2:
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
        begin = looked = time.monotonic()
        while not condition():
            now = time.monotonic()
            if now > begin + PATIENCE * SLOW:
                raise AssertionError('%s: it did not come; %s' % (what, ''.join(
                    self.machine.command(command) for command in ('districts', 'links ' + TELLER, 'events'))))
            if options.servers and now > looked + 1:
                self.start_ended()
                looked = now
            time.sleep(0.02)
            self.look()

    def progress(self, changes):
        """Money is moved."""
        before = self.oracle.counts['changes']
        self.wait_for('transfers go on', lambda: self.oracle.counts['changes'] >= before + changes)

    # -- what is done -------------------------------------------------------------------------------------

    def until(self, word, command):
        """What a server that fails does not answer is asked again."""
        end = time.monotonic() + PATIENCE * SLOW
        while word not in (text := self.machine.command(command, 60)):
            if not options.servers or time.monotonic() > end:
                raise AssertionError('%s: %r' % (command, text))
            self.start_ended()
        return text

    def start(self, name):
        if not options.servers:
            self.machine.restart(name)
            self.machine.detach()
            return
        end, text = time.monotonic() + PATIENCE * SLOW, ''
        while 'runs already' not in text:
            if time.monotonic() > end:
                raise AssertionError(text + self.machine.command('districts'))
            try:
                self.machine.restart(name)
            except MachineError as error:
                text = str(error)
                if not text.startswith('restart '):
                    raise
                self.machine.expect(re.escape(PROMPT))
            else:
                self.machine.send(DETACH)
                self.machine.expect(r'\[detached from [^\]]*\]|\[%s has ended[^\]]*\]|\nattach: ' % name)
                self.machine.expect(re.escape(PROMPT))
                return

    def start_ended(self):
        """Districts that a server's failure has ended."""
        lines = self.machine.command('districts').splitlines()
        for n, line in enumerate(lines):
            if found := re.match(r'(%s) +stopped ' % '|'.join(self.wanted), line):
                about = itertools.takewhile(lambda l: l.startswith('  '), lines[n + 1:])
                self.ended[' '.join(l.strip() for l in about if not l.startswith('  bonded'))] += 1
                self.start(found.group(1))

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
        if back:
            self.oracle.asked_back(*(BANK if self.kind == 'bonded' else [name]))
        text = self.machine.command('rollback %s --back %d' % (name, back))
        if found := re.search(r'can go back (\d+) generations', text):  # the oldest ones may just be dropped
            text = self.machine.command('rollback %s --back %d' % (name, max(0, int(found.group(1)) - 3)))
        if self.kind == 'bonded' and 'does not keep the generation' in text:  # another one has dropped its part
            text = self.machine.command('rollback ' + name)
        if not re.search(r'%s: runs from generation \d+' % name, text) and not options.servers:
            raise AssertionError('rollback %s: %r' % (name, text))

    def incarnation(self, name):
        end = time.monotonic() + PATIENCE * SLOW
        while True:
            text = self.machine.command('districts')
            if found := re.search(r'^%s +(?:running|starting) +\d+ +(\d+) ' % name, text, re.MULTILINE):
                return int(found.group(1))
            if not options.servers or time.monotonic() > end:
                raise AssertionError('%s does not run: %s' % (name, text))
            self.start_ended()

    def checkpoint(self, name):
        """@return the generation that it has made durable"""
        end = time.monotonic() + PATIENCE * SLOW
        while True:
            run = self.incarnation(name)
            self.look()
            made = self.oracle.changes(name, run)
            try:
                generation = self.machine.checkpoint(name)
            except MachineError as error:
                if not options.servers or not str(error).startswith('checkpoint ') or time.monotonic() > end:
                    raise
            else:
                self.oracle.acknowledged(name, generation, run, made)
                return generation

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
        self.wanted = (*BANK, WHISTLE)
        self.start(WHISTLE)
        self.wait_for('the teller rests', lambda: self.oracle.rests)
        for name in TILLS:
            run = self.incarnation(name)
            self.wait_for('word of %s' % name, lambda: self.oracle.tills[name].run == run)
        total = self.oracle.check_rest()
        self.wanted = BANK
        while self.machine.command('kill ' + WHISTLE) and not re.search(WHISTLE + ' +stopped', self.machine.command('districts')):
            harness.Checks.true(options.servers, 'the whistle is not stopped')
        self.progress(1)
        return total

    def run(self):
        try:
            while self.faults < options.faults:
                self.fault()
                if self.faults % REST_EVERY == 0 or self.faults == options.faults:
                    total = self.rest()
            counts = self.oracle.counts
            for said, times in self.ended.items():
                print('%d times a district had been ended: %r' % (times, said))
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
