#!/usr/bin/python3
"""Power cuts at random moments over four workloads in one district (workload/workload/run.sh).

After each cut the store must verify, and the district must go on from *one* instant that is not older than
the last acknowledged checkpoint:

  - the generation that `restart` names is at least the acknowledged one;
  - a marker, written before the checkpoint into a file and a variable of the shell, is there in both, and
    not one that was written after the cut's last commit in one place only;
  - the ring of tokens through all workloads goes on. Each stage accepts only the token after its last one,
    so states of two instants, even one step apart, end in TORN or in a ring that stands still;
  - the shell's counter appears on the console without a gap.

A failing run prints its seed; `test_powercut.py --seed N` repeats its choices. Options: --cuts N, --seed N,
--nucleus FILE (another build of it), --expect-caught (a mutant: succeed only if a cut shows it).
"""
import argparse
import os
import random
import re
import sys
import time

import harness
from machine import SCRATCH, Machine, MachineError, make_store, make_tree, verify_store

DISTRICT = 'my-district'
HERE = os.path.dirname(os.path.abspath(__file__))
check = harness.Checks


class Story:
    """One district with its workloads, cut again and again."""
    intervals = [20, 100, 1000]  # ms, of checkpoints that come often

    def __init__(self, seed, nucleus=None, name='powercut', **kind):
        self.random = random.Random(seed)
        folder = os.path.join(SCRATCH, '%s-%d' % (name, seed))
        tree = make_tree(os.path.join(folder, 'tree.tar'), os.path.join(HERE, 'workload'))
        self.store = make_store(os.path.join(folder, 'my-district.district'), DISTRICT, root=tree)
        self.acknowledged = 0  # generation
        self.acknowledged_marker = 0
        self.marker = 0
        self.last_tick = 0
        self.nucleus = nucleus
        self.name = '%s-%d' % (name, seed)
        self.machine = None
        self.use(**kind)

    def close(self):
        self.machine.close()

    def use(self, **kind):
        """Another kind of machine from now on, with the same store."""
        if self.machine:
            self.machine.close()
        self.machine = Machine([self.store], name=self.name, nucleus=self.nucleus, **kind)

    # -- watching --------------------------------------------------------------------------------------

    def ticks(self, text):
        """The counter's values in console text; raises if a workload complained in it."""
        torn = re.search(r'TORN.*', text)
        check.true(not torn, 'a workload met another instant: %s' % (torn and torn.group(0)))
        found = [int(n) for n in re.findall(r'tick (\d+)\n', text)]
        if found:
            self.last_tick = max(found)
        return found

    def watch(self, seconds):
        self.ticks(self.machine.read_for(seconds))

    def await_progress(self, ticks, limit=60):
        """Waits until the counter has gone on by so many ticks, without a gap but for one repetition of
        what was on the screen before."""
        text, end, first, repeats = '', time.monotonic() + limit, None, 0
        while True:
            text += self.machine.read_for(0.2)
            found = self.ticks(text)
            for a, b in zip(found, found[1:]):
                repeats += b <= a
                check.true(b == a + 10 or b <= a, 'the counter went from %d to %d' % (a, b))
            check.true(repeats <= 1, 'the counter was repeated more than once: %s' % found)
            repeats = 0
            if found and first is None:
                first = found[-1]
            if found and found[-1] >= first + 10 * ticks:
                return
            check.true(time.monotonic() < end, 'the ring stands still after %s (%s)' %
                       (found[-3:], self.machine.log_path))

    # -- steps -----------------------------------------------------------------------------------------

    def begin(self):
        self.machine.login(120)
        check.equal(self.machine.restart(DISTRICT), 0, 'generation of a new district')
        self.machine.send('sh /workload/run.sh &\n')
        self.await_progress(20)
        self.checkpoint()  # generation 0 has no workloads to go on with
        self.machine.attach(DISTRICT)

    def mark(self):
        self.marker += 1
        status, _ = self.machine.sh('m=%d; echo $m > /w/marker' % self.marker)
        check.equal(status, 0, 'writing the marker')

    def checkpoint(self):
        """An acknowledged checkpoint: nothing older may come back from here on."""
        self.machine.detach()
        generation = self.machine.checkpoint(DISTRICT)
        check.true(generation >= self.acknowledged, 'generation %d after %d' % (generation, self.acknowledged))
        self.acknowledged, self.acknowledged_marker = generation, self.marker

    def cut_somewhere(self):
        """Goes on for a while in one of several ways, then pulls the plug."""
        choice = self.random.choice(['running', 'marked', 'after', 'later', 'within', 'often'])
        delay = self.random.random()
        if choice == 'running':
            self.watch(2.5 * delay)
        elif choice == 'marked':
            self.mark()
            self.watch(1.2 * delay)
        elif choice == 'after':
            self.mark()
            self.checkpoint()
        elif choice == 'later':
            self.mark()
            self.checkpoint()
            self.machine.attach(DISTRICT)
            self.watch(1.5 * delay)
        elif choice == 'within':
            self.mark()
            self.machine.detach()
            self.machine.send('checkpoint %s\r' % DISTRICT)
            text = self.machine.read_for(0.3 * delay)
            done = re.search(r'generation (\d+) committed', text)
            if done:
                self.acknowledged, self.acknowledged_marker = int(done.group(1)), self.marker
        else:
            self.machine.detach()
            self.machine.command('interval %s %dms' % (DISTRICT, self.random.choice(self.intervals)))
            self.machine.attach(DISTRICT)
            self.watch(1.5 * delay)
        self.machine.unplug()
        return '%s %.2f' % (choice, delay)

    def come_back(self):
        verify_store(self.store)
        self.machine.start()
        self.machine.login(120)
        generation = self.machine.restart(DISTRICT)
        check.true(generation >= self.acknowledged,
                   'restarted from generation %d, but %d was acknowledged' % (generation, self.acknowledged))
        self.await_progress(8)
        # The checkpoint may have met a line that was half typed: it is there again, and Ctrl-U takes it away.
        self.machine.send('\x15')
        status, text = self.machine.sh('echo "marker:$m:$(cat /w/marker):"')
        check.equal(status, 0, 'reading the marker')
        found = re.search(r'marker:(\d*):(\d*):', text)
        check.true(found, 'no marker in %r' % text)
        variable, in_file = int(found.group(1) or 0), int(found.group(2) or 0)
        check.true(self.acknowledged_marker <= variable <= self.marker,
                   "the shell's marker is %d, acknowledged was %d" % (variable, self.acknowledged_marker))
        # The shell sets its variable, then truncates and writes the file: the file may be one step behind.
        check.true(in_file in (variable, variable - 1, 0), 'marker %d, but %d in the file' % (variable, in_file))
        check.true(in_file >= self.acknowledged_marker or in_file == 0 and variable > self.acknowledged_marker,
                   "the file's marker is %d, acknowledged was %d" % (in_file, self.acknowledged_marker))
        self.acknowledged = generation
        self.marker = variable


class NotBegun(AssertionError):
    """The story failed before the first cut."""


def tell(story, cuts, seed):
    """All cuts of one story. Returns how many were survived; raises at the first that was not."""
    try:
        story.begin()
    except (AssertionError, MachineError) as error:
        raise NotBegun('before the first cut, seed %d: %s' % (seed, error)) from error
    for n in range(1, cuts + 1):
        how = 'none'
        try:
            how = story.cut_somewhere()
            story.come_back()
        except (AssertionError, MachineError) as error:
            raise AssertionError('cut %d (%s), seed %d: %s' % (n, how, seed, error)) from error
    return cuts


def main():
    options = argparse.ArgumentParser(description='power cuts over four workloads')
    options.add_argument('--cuts', type=int, default=15)
    options.add_argument('--seed', type=int, default=random.SystemRandom().randrange(1000000))
    options.add_argument('--nucleus')
    options.add_argument('--expect-caught', action='store_true')
    options = options.parse_args()
    story = None

    def test():
        nonlocal story
        story = Story(options.seed, options.nucleus)
        try:
            tell(story, options.cuts, options.seed)
        except AssertionError as error:
            if options.expect_caught and not isinstance(error, NotBegun):
                print('       caught: %s' % error)
                return
            raise
        check.true(not options.expect_caught, '%d cuts did not show the mutation' % options.cuts)

    name = '%d power cuts, seed %d%s' % (options.cuts, options.seed, ', mutant' if options.expect_caught else '')
    try:
        passed, failed = harness.run([(name, test)])
    finally:
        if story:
            story.close()
    print('%d passed, %d failed' % (passed, failed))
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
