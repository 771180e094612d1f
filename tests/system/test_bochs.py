#!/usr/bin/python3
"""The second machine: Bochs, an x86 by others, stricter than QEMU and with a PC's classic devices only, that GRUB boots
from a CD. A district with all workloads goes on there after power cuts, and its store moves between the machines
while they are half done.

    test_bochs.py [--seed N]
"""
import argparse
import os
import re
import subprocess
import sys

import harness
from machine import MKDISTRICT, PROMPT
from screen import BochsScreen
from test_powercut import Story

check = harness.Checks
BOCHS = {'emulator': 'bochs'}
CUTS = 3

parser = argparse.ArgumentParser()
parser.add_argument('--seed', type=int, default=int(os.environ.get('BW_SEED', 1)))
options, sys.argv[1:] = parser.parse_known_args()

story = Story(options.seed, name='bochs', **BOCHS)
story.intervals = [100, 300, 1000]  # every 20 ms there is time for little else


def move(**kind):
    """The plug is pulled in the middle of it all; the store goes on in another machine."""
    story.machine.attach('my-district')
    story.mark()
    story.watch(1)
    story.machine.unplug()
    story.use(**kind)
    story.machine.unplug()  # the store is looked at before it is started
    story.come_back()
    story.mark()
    story.checkpoint()


def test_workloads_begin():
    story.begin()


def test_the_store_is_held():
    done = subprocess.run([MKDISTRICT, '--info', story.store], capture_output=True, text=True)
    check.contains(done.stderr, 'in use by bochs-bin, process %d' % story.machine.child.pid)


def test_power_cuts():
    for n in range(CUTS):
        how = story.cut_somewhere()
        try:
            story.come_back()
        except Exception as error:
            raise AssertionError('cut %d (%s), seed %d: %s' % (n + 1, how, options.seed, error)) from error
    story.mark()
    story.checkpoint()
    print('       %d power cuts' % CUTS)


def test_to_qemu():
    move(disk='virtio')


def test_to_qemu_with_its_ata_disk():
    move(disk='ide')


def test_back_to_bochs():
    move(**BOCHS, extra=BochsScreen.ARGUMENTS)


def bochs_log():
    return story.machine.log_path.replace('.log', '.bochs/bochs.log')


def test_its_screen_and_keyboard():
    at_prompt = re.escape(PROMPT.rstrip()) + r'\s*\Z'
    screen = BochsScreen(bochs_log())
    screen.expect(r'^login:\s*\Z')
    screen.type('guest\r')
    screen.expect(at_prompt)
    screen.type('districts\r')
    screen.expect(r'^my-district +running [^$]*^' + at_prompt)
    screen.press('alt-f2')
    screen.expect(r'^login:\s*\Z')
    screen.press('caps_lock')
    screen.type('gU')
    screen.press('caps_lock')
    screen.type('gU')
    screen.expect(r'^login: GugU\s*\Z')
    screen.press('alt-f1')
    screen.expect(at_prompt)
    screen.type('attach my-district\r')
    screen.expect(r'tick \d+\n')
    screen.close()


def test_its_clocks_agree():
    with open(story.machine.log_path.replace('.log', '.nucleus'), errors='replace') as log:
        check.contains(log.read(), 'are right, by the HPET')


def test_poweroff():
    story.machine.send('poweroff\r')
    story.machine.wait_off()


def test_bochs_has_nothing_to_complain_about():
    """Its log has what it does (i) and what it finds wrong (e); to be switched off it calls a panic (p). What it says
    before it has opened that goes to the nucleus's."""
    wrong = []
    for path in story.machine.log_path.replace('.log', '.nucleus'), bochs_log():
        with open(path, errors='replace') as log:
            wrong += [line for line in log if re.match(r'\d+[ep]\[', line)]
    check.equal([line for line in wrong if 'ACPI control: soft power off' not in line], [])


if __name__ == '__main__':
    harness.main(globals(), story.close)
