#!/usr/bin/python3
"""The real path: every write of a machine under load is recorded below it (blklogwrites). From the record, disks
are built as a power cut could have left them, at every point and with any part of the unflushed writes; each
is opened and judged by build/bin/replay (tests/recorded), and a few are booted and go on.

    test_recorded.py [--images N] [--boots N] [--seed N]
"""
import argparse
import os
import random
import re
import subprocess
import sys

import harness
from disks import RecordedMachine
from machine import BUILD, SCRATCH, Machine, make_store, make_tree
from test_powercut import DISTRICT, HERE, Story

check = harness.Checks
REPLAY = os.path.join(BUILD, 'bin', 'replay')

parser = argparse.ArgumentParser()
parser.add_argument('--images', type=int, default=2000)
parser.add_argument('--boots', type=int, default=4)
parser.add_argument('--steps', type=int, default=16)
parser.add_argument('--seed', type=int, default=int(os.environ.get('BW_SEED', 1)))
options = parser.parse_args()
sys.argv[1:] = []

folder = os.path.join(SCRATCH, 'recorded-%d' % options.seed)


def at(name):
    return os.path.join(folder, name)


class Recorded(Story):
    """The story of the power cuts, without cuts: what was acknowledged when is written down."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        os.makedirs(folder, exist_ok=True)
        tree = make_tree(at('tree.tar'), os.path.join(HERE, 'workload'))
        self.store = make_store(at('my-district.district'), DISTRICT, size='64M', root=tree)
        subprocess.run(['cp', '--sparse=always', self.store, at('before')], check=True)
        self.acknowledged = self.acknowledged_marker = self.marker = self.last_tick = 0
        self.marks = []  # (entries of the log, generation, marker)
        self.machine = RecordedMachine([self.store], at('log'), name='recorded-%d' % seed)

    def checkpoint(self):
        super().checkpoint()
        self.marks.append((self.machine.entries(), self.acknowledged, self.acknowledged_marker))

    def step(self):
        """Something that writes."""
        choice = self.random.choice(['run', 'checkpoint', 'interval', 'file', 'restart', 'drop'])
        if choice == 'run':
            self.watch(0.5)
        elif choice == 'interval':
            self.machine.detach()
            self.machine.command('interval %s %dms' % (DISTRICT, self.random.choice([20, 50, 200])))
            self.machine.attach(DISTRICT)
        elif choice == 'file':
            size = self.random.choice([1, 40, 400])
            self.machine.sh('dd if=/dev/urandom of=/w/noise bs=4096 count=%d 2>/dev/null' % size)
        elif choice == 'drop':
            self.machine.detach()
            listed = re.findall(r'^ *(\d+) ', self.machine.command('generations ' + DISTRICT), re.MULTILINE)
            self.machine.command('drop %s %s' % (DISTRICT, self.random.choice(listed[:3])))
            self.machine.command('scrub ' + DISTRICT, 60)
            self.machine.attach(DISTRICT)
        elif choice == 'restart':
            self.mark()
            self.checkpoint()
            self.machine.command('kill ' + DISTRICT)
            check.true(self.machine.restart(DISTRICT) >= self.acknowledged, 'restarted where it was killed')
            self.await_progress(2)
            return
        else:
            self.mark()
            self.checkpoint()
            self.machine.attach(DISTRICT)


class Resumed(Story):
    """A disk of the past in a new machine."""

    def __init__(self, image, generation, marker, last_marker):
        self.store = image
        self.acknowledged, self.acknowledged_marker, self.marker = generation, marker, last_marker
        self.last_tick = 0
        self.machine = Machine([image], name='resumed')
        self.machine.unplug()


story = None


def test_a_machine_under_load_is_recorded():
    global story
    story = Recorded(options.seed)
    story.begin()
    for _ in range(options.steps):
        story.step()
    story.mark()
    story.checkpoint()
    story.machine.close()
    check.true(len(story.marks) >= 2, 'checkpoints were acknowledged')
    with open(at('marks'), 'w') as f:
        f.writelines('%d %d\n' % mark[:2] for mark in story.marks)


def replay(*more):
    return subprocess.run([REPLAY, '--seed', str(options.seed), '--images', str(options.images), '--marks', at('marks'),
                           *more, at('before'), at('log')], capture_output=True, text=True)


saved = []


def test_every_disk_that_a_cut_can_leave_is_whole():
    done = replay('--save', at('cut-'), '--saved', str(options.boots))
    check.equal(done.returncode, 0, done.stdout + done.stderr)
    print('       ' + done.stdout.splitlines()[-2])
    tried = int(re.search(r'^(\d+) images', done.stdout, re.MULTILINE).group(1))
    check.true(tried >= options.images, '%d images only' % tried)
    saved.extend(re.findall(r'^saved (\S+) (\d+) (\d+)$', done.stdout, re.MULTILINE))


def test_a_flush_left_out_is_caught():
    done = replay('--lose-flushes')
    check.equal(done.returncode, 1, 'replay without half of the flushes: ' + done.stdout + done.stderr)
    check.contains(done.stdout, '0 passed, 1 failed')


def test_some_of_the_disks_are_booted_and_go_on():
    check.equal(len(saved), options.boots, 'images kept')
    for image, entries, generation in saved:
        marks = [m for m in story.marks if m[0] <= int(entries)]
        # What was begun when the cut came may be on the disk, and is not yet in the marks.
        last = story.marks[len(marks)][2] if len(marks) < len(story.marks) else story.marker
        resumed = Resumed(image, int(generation), marks[-1][2], last)
        try:
            resumed.come_back()
        finally:
            resumed.close()
        os.unlink(image)


if __name__ == '__main__':
    harness.main(globals(), finish=lambda: story and story.machine.close())
