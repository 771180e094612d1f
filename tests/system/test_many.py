#!/usr/bin/python3
"""As many districts as there are disks for: all run at once, and what happens to one is nothing to the others. One disk
too many is refused before the machine starts."""
import os
import re
import subprocess

import harness
from machine import PROMPT, SCRATCH, TOP, Machine, make_store
from screen import Screen

check = harness.Checks
MOST = 24
MOST_WITH_SCREEN = 21
NAMES = ['d%d' % i for i in range(MOST)]


def path(name):
    return os.path.join(SCRATCH, 'many', name + '.district')


stores = [make_store(path(name), name, size='16M', interval='2s') for name in NAMES]
machine = Machine(stores, memory=512, name='many')


def states():
    return dict(re.findall(r'^(\w+) +(\w+) ', machine.command('districts'), re.MULTILINE))


def test_all_run():
    machine.login()
    for name in NAMES:
        machine.restart(name)
        check.equal(machine.sh('n=%s; echo $n' % name), (0, name))
        machine.detach()
    check.equal({name: states().get(name) for name in NAMES}, dict.fromkeys(NAMES, 'running'))


def test_sockets_between_all():
    """Each is the one district that the first one listens to next."""
    machine.attach(NAMES[0])
    check.equal(machine.sh('nc.openbsd -dklU /district/%s/socket > /tmp/got &' % NAMES[0]), (0, ''))
    machine.sh('sleep 0.5')
    machine.detach()
    for name in NAMES[1:]:
        machine.attach(name)
        check.equal(machine.sh('echo $n | nc.openbsd -NU /district/%s/socket' % NAMES[0]), (0, ''))
        machine.detach()
    machine.attach(NAMES[0])
    check.equal(machine.sh('sleep 0.5; cat /tmp/got'), (0, '\n'.join(NAMES[1:])))
    machine.detach()


def test_one_is_killed():
    machine.command('kill d7')
    check.equal({name: state for name, state in states().items() if state != 'running'}, {'d7': 'stopped', 'NAME': 'STATE'})
    for name in (NAMES[0], NAMES[-1]):
        machine.attach(name)
        check.equal(machine.sh('echo $n'), (0, name))
        machine.detach()
    machine.restart('d7')
    check.equal(machine.sh('echo running'), (0, 'running'))
    machine.detach()


def test_one_too_many():
    command = [os.path.join(TOP, 'bw'), 'run', '--print']
    for name in NAMES + ['more']:
        command += ['--store', path(name)]
    make_store(path('more'), 'more', size='16M')
    refused(command, 'at most %d stores' % MOST)
    refused(command[:-2 * (MOST - MOST_WITH_SCREEN)] + ['--window'],
            'at most %d stores beside the programs of its screen' % MOST_WITH_SCREEN)


def refused(command, words):
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, BW_BUILT='1'))
    check.true(done.returncode != 0, 'it is refused')
    check.contains(done.stderr, words)


def test_too_many_for_a_screen():
    """On a machine that bw has not started: what does not fit is named, and all terminals have their shells."""
    machine.close()
    monitor = path('monitor').replace('.district', '')
    with Machine(stores, memory=512, name='many', extra=Screen.arguments(monitor)) as full:
        full.login()
        screen = Screen(monitor)
        for key in 'alt-f1', 'alt-f2', 'alt-f3', 'alt-f4':
            screen.press(key)
            screen.expect(r'^login:\s*\Z')
            screen.type('guest\r')
            screen.expect(re.escape(PROMPT.rstrip()) + r'\s*\Z')
        screen.close()
        known = len(re.findall(r'^d\d+ +stopped ', full.command('districts'), re.MULTILINE))
        with open(full.log_path.replace('.log', '.nucleus')) as log:
            left_out = log.read().count('there are too many disks: disk')
        check.equal(known + left_out, MOST)
        check.true(left_out > 0, 'some are left out')


if __name__ == '__main__':
    harness.main(globals(), machine.close)
