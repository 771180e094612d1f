#!/usr/bin/python3
"""Districts that start by themselves when the machine does: those that should, once, and none of which the user must
be asked first."""
import os
import re
import subprocess
import time

import harness
from machine import BUILD, MKDISTRICT, SCRATCH, SLOW, Machine, make_store, verify_store, with_mutant

check = harness.Checks
folder = os.path.join(SCRATCH, 'autostart')
NAMES = ('alpha', 'beta', 'gamma')
stores = [make_store(os.path.join(folder, name + '.district'), name, size='32M') for name in NAMES]
machine = Machine(stores, name='autostart', boot=with_mutant(folder, 'districtd'))


def states():
    return dict(re.findall(r'^(\w+) +(running|stopped|starting|unusable) ', machine.command('districts'), re.MULTILINE))


def await_states(*wanted):
    end = time.monotonic() + 20 * SLOW
    while tuple((found := states()).get(name) for name in NAMES) != wanted:
        check.true(time.monotonic() < end, 'districts: %r, not %r' % (found, wanted))
        time.sleep(0.1)


def boot():
    machine.start()
    machine.login()


def run(name, line):
    machine.attach(name)
    status, text = machine.sh(line)
    machine.detach()
    check.equal(status, 0, line)
    return text


def test_none_starts_unless_it_is_told_to():
    machine.login()
    for name in NAMES:
        check.equal(machine.command('autostart ' + name).strip(), name + ': does not start by itself when the machine does')
    for name in NAMES[:2]:
        machine.restart(name)
        machine.sh('echo of %s > /tmp/state' % name)
        machine.detach()
        machine.checkpoint(name)
    check.equal(states(), {'alpha': 'running', 'beta': 'running', 'gamma': 'stopped'})
    boot()
    time.sleep(4)
    check.equal(states(), {name: 'stopped' for name in NAMES})


def test_it_is_kept_in_the_store():
    for name in NAMES[:2]:
        check.equal(machine.command('autostart %s on' % name).strip(), name + ': starts by itself when the machine does')
    check.contains(machine.command('autostart alpha maybe'), 'say on or off')
    check.contains(machine.command('autostart nobody on'), 'nobody')
    check.equal(machine.command('districts').count('starts by itself'), 2)
    check.equal(states(), {name: 'stopped' for name in NAMES})  # from the next boot on
    machine.unplug()
    for store, state in zip(stores, ('on', 'on', 'off')):
        done = subprocess.run([MKDISTRICT, '--info', store], capture_output=True, text=True, check=True)
        check.contains(done.stdout, 'autostart     %s\n' % state)


def test_several_start_with_the_machine():
    boot()
    await_states('running', 'running', 'stopped')
    for name in NAMES[:2]:
        check.equal(run(name, 'cat /tmp/state'), 'of ' + name)
        check.contains(run(name, 'cat /proc/district'), 'reason autostart')
        check.contains(machine.command('events ' + name), 'started by itself from generation')


def test_one_that_never_ran_starts_too():
    machine.command('autostart gamma on')
    boot()
    await_states('running', 'running', 'running')
    check.contains(machine.command('events gamma'), 'started by itself, for the first time')


def test_what_was_killed_stays_dead():
    """Also when districtd ends and a new one gets to know the districts (this mutant ends with a scrub)."""
    machine.command('kill alpha')
    machine.command('scrub beta', 60)
    end = time.monotonic() + 20 * SLOW
    while machine.command('events').count('districtd failed and was started again') < 2:  # beta and gamma register
        check.true(time.monotonic() < end, machine.command('events'))
        time.sleep(0.1)
    time.sleep(1)
    await_states('stopped', 'running', 'running')
    check.true(machine.restart('alpha') > 0, 'it can be started by hand')
    machine.detach()


def test_shares():
    """Kept in the store; of the processor, one gets more than another that wants as much, by their shares."""
    check.equal(machine.command('share beta').strip(), 'beta: has a share of 100; 100 is usual')
    for wrong in ('0', '10001', 'much'):
        check.contains(machine.command('share beta ' + wrong), 'from 1 to 10000')
    check.equal(machine.command('share beta 400').strip(), 'beta: has a share of 400; 100 is usual')
    boot()
    await_states('running', 'running', 'running')
    check.equal(machine.command('share beta').strip(), 'beta: has a share of 400; 100 is usual')
    for name in ('beta', 'gamma'):
        run(name, 'i=0; while [ ! -e /tmp/enough ]; do i=$((i+1)); echo $i > /tmp/i; done &')
    time.sleep(4)
    counts = [int(run(name, 'until n=$(cat /tmp/i) && [ -n "$n" ]; do :; done; echo $n')) for name in ('gamma', 'beta')]
    check.true(counts[1] > 2 * counts[0], 'with shares of 100 and 400: %r' % counts)
    machine.command('share beta 100')
    for name in ('beta', 'gamma'):
        run(name, 'touch /tmp/enough; wait; rm /tmp/enough')


def test_off_again():
    machine.command('autostart alpha off')
    boot()
    await_states('stopped', 'running', 'running')
    time.sleep(1)
    await_states('stopped', 'running', 'running')


def test_who_must_be_asked_is_told():
    """A mirrored store whose other copy is not there and may be newer is not started; with both it is."""
    global machine
    machine.close()
    copies = [os.path.join(folder, 'copy%d.district' % n) for n in (0, 1)]
    subprocess.run([MKDISTRICT, '--force', '--size', '32M', '--name', 'delta', '--root', os.path.join(BUILD, 'tree.tar'),
                    '--mirror', copies[1], copies[0]], check=True, capture_output=True)
    machine = Machine(copies, name='autostart')
    machine.login()
    machine.restart('delta')
    machine.detach()
    machine.command('autostart delta on')
    machine.checkpoint('delta')
    for given, expected in ((copies, 'started by itself from generation'), (copies[:1], 'did not start by itself')):
        machine.close()
        machine = Machine(given, name='autostart')
        machine.login()
        end = time.monotonic() + 20 * SLOW
        while expected not in (text := machine.command('events delta')):
            check.true(time.monotonic() < end, text)
            time.sleep(0.1)
    check.contains(text, "'restart delta --alone'")
    check.true(machine.restart('delta', '--alone') > 0, 'it can be started by hand')
    machine.detach()
    machine.close()
    verify_store(copies[0])
    for store in stores:
        verify_store(store)


def finish():
    machine.close()


if __name__ == '__main__':
    harness.main(globals(), finish)
