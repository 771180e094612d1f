#!/usr/bin/python3
"""Gated links: two payers in one district pay into an account of another over a gated link, without numbers of their own,
while either is killed and the power goes: each payment counts once, and nobody notices more than a delay. Who goes
back farther than that is told SEVERED. And a district whose console is gated: what it has shown is never contradicted or
shown twice.

    test_gated.py [--kills N] [--seed N] [TEST]...
"""
import argparse
import os
import random
import re
import sys
import time

import harness
from machine import SCRATCH, SLOW, Machine, make_store, verify_store

check = harness.Checks
parser = argparse.ArgumentParser()
parser.add_argument('--kills', type=int, default=12)
parser.add_argument('--seed', type=int, default=int(os.environ.get('BW_SEED', time.time())) % 1000000)
options, rest = parser.parse_known_args()
sys.argv[1:] = rest
chance = random.Random(options.seed)


def store(name, *native, interval='30ms'):
    return make_store(os.path.join(SCRATCH, 'gated', name + '.district'), name, size='32M', interval=interval, native=native)


stores = [store('bank', 'account'), store('shop', 'payer bank 3 1 gated', 'payer bank 4 1 gated'),
          store('echo', 'bench_asker'), store('asker', 'bench_asker echo'), store('screen', interval='1h')]
machine = Machine(stores, name='gated')


def start(name):
    machine.restart(name)
    machine.detach()


def wait_for(what, condition, seconds=30):
    end = time.monotonic() + seconds * SLOW
    while not (value := condition()):
        time.sleep(0.05)  # who asks without a rest takes the processor from the districts
        if time.monotonic() > end:
            raise AssertionError('%s: it did not come; links: %r; logs: %r' % (
                what, machine.command('links shop'), [machine.command('log ' + n) for n in ('shop', 'bank')]))
    return value


def messages(holder='shop', peer='bank'):
    found = re.search(r'^%s/\.gate +gated +live .* (\d+) *$' % peer, machine.command('links ' + holder), re.MULTILINE)
    return int(found.group(1)) if found else 0


def paying():
    """More is sent than what agreeing takes."""
    before = messages()
    wait_for('payments go through', lambda: messages() > max(before, 0) + 6)


def look():
    """Nothing was lost, made twice or severed in this run of either."""
    for name in ('bank', 'shop'):
        text = machine.command('log ' + name)
        check.true('counts as number' not in text, '%s: %s' % (name, text))
        check.true('are void' not in text, '%s: %s' % (name, text))


def agreements():
    return [tuple(map(int, found)) for found in re.findall(
        r'we have paid (\d+), the account knows of (\d+)', machine.command('log shop'))]


def test_what_is_taken_and_what_is_not():
    start('asker')
    start('echo')
    text = wait_for('the asker is done', lambda: (t := machine.command('log asker')) and 'done' in t and t)
    answers = dict(re.findall(r'asker: ([\w ]+): (-?\d+)', text))
    check.equal(answers, {'own district': '-6', 'words': '7', 'some bytes': '7', 'all bytes': '7', 'too many bytes': '-6',
                          'a key': '-6', 'refused': '-19', 'not published': '-17', 'its relay': '-19',
                          'behind others': '-16', 'later': '7', 'sent': '64', 'sent too much': '-16',
                          'once told': '7',
                          'done': '0'})


def test_idle_districts_stay_clean():
    """When everything is acknowledged nothing is looked for any more."""
    wait_for('nothing changes', lambda: all('nothing has changed' in machine.command('checkpoint ' + name)
                                            for name in ('asker', 'echo', 'asker', 'echo')))


def test_a_call_waits_for_a_district_that_does_not_run():
    start('shop')
    wait_for('the link is there', lambda: 'that district does not run' in machine.command('links shop'))
    start('bank')
    paying()
    look()


def test_kills_are_only_a_delay():
    for _ in range(options.kills):
        who = chance.choice((['bank'], ['shop'], ['bank', 'shop'], ['shop', 'bank'], ['power']))
        time.sleep(chance.random() / 4)
        look()
        if who == ['power']:
            machine.unplug()
            machine.start()
            machine.login()
            who = ['bank', 'shop']
        else:
            for name in who:
                machine.command('kill ' + name)
        for name in who:
            start(name)
        paying()
        look()
        if who[0] != 'bank':
            check.equal(agreements(), [], 'the payers had nothing to agree on')


def test_the_account_goes_back():
    machine.command('retention bank 60,0,0,0')
    before = messages()
    wait_for('more payments', lambda: messages() > before + 30)
    machine.command('rollback bank --back 20')
    paid, known = wait_for('the payers are told', agreements)[-1]
    check.true(known < paid, 'the account has forgotten payments (%d of %d)' % (known, paid))
    check.contains(machine.command('log bank') + machine.command('log shop'), 'gone back farther')
    wait_for('both payers are told', lambda: len(agreements()) == 2)
    paying()


def test_the_payers_go_back():
    machine.command('retention shop 60,0,0,0')
    before = messages()
    wait_for('more payments', lambda: messages() > before + 30)
    machine.command('rollback shop --back 20')
    paid, known = wait_for('the payers are told', agreements)[-1]
    check.true(known > paid, 'the payers have forgotten payments (%d of %d)' % (known, paid))
    wait_for('both payers are told', lambda: len(agreements()) == 2)
    paying()


# -- the console: `gated NAME on` --------------------------------------------------------------------------

COUNTS = 'n=0; while :; do n=$((n+1)); echo "<$n>"; sleep 0.02; done\n'  # no more than the console keeps meanwhile


def look_at_screen(last, again=False, n=15):
    """Attached; looks at so many more numbers that the district counts, and detaches. They go on where one has looked
    last; `again`: some of what was seen may come again first. @return the last one"""
    machine.expect(r'(<\d+>\r\n){%d}' % n)
    text = machine.child.before + machine.match.group(0) + machine.detach()
    numbers = [int(found) for found in re.findall(r'^<(\d+)>\r*\n', text.replace('\r', ''), re.MULTILINE)]
    check.equal(numbers, list(range(numbers[0], numbers[0] + len(numbers))), 'numbers in a row')
    check.true(numbers[0] == last + 1 or again and numbers[0] <= last + 1 and numbers[-1] >= last,
               'after %d came %d to %d' % (last, numbers[0], numbers[-1]))
    return numbers[-1]


def test_console_is_never_contradicted():
    machine.restart('screen')
    machine.prompt()
    machine.detach()
    check.contains(machine.command('gated screen'), 'is shown at once')
    check.contains(machine.command('gated screen perhaps'), 'say on or off')
    check.contains(machine.command('gated screen on'), 'is held until it is committed')
    check.contains(machine.command('districts'), 'shows only what is committed')
    machine.attach('screen')
    check.equal(machine.sh('echo hello')[1], 'hello')
    machine.send(COUNTS)
    last = look_at_screen(0)
    for _ in range(4):
        machine.command('kill screen')
        machine.restart('screen')
        last = look_at_screen(last)
    for _ in range(2):
        machine.attach('screen')
        last = look_at_screen(last)
        machine.unplug()
        machine.start()
        machine.login()
        machine.restart('screen')
        last = look_at_screen(last, again=True, n=45)


def test_console_after_going_back():
    machine.command('rollback screen --back 3')
    machine.attach('screen')
    machine.send('\x03')
    machine.prompt()
    check.equal(machine.sh('echo back')[1], 'back')
    machine.detach()
    check.contains(machine.command('gated screen off'), 'is shown at once')
    machine.attach('screen')
    check.equal(machine.sh('echo at once')[1], 'at once')
    machine.detach()


def finish():
    machine.close()
    for path in stores:
        verify_store(path)


if __name__ == '__main__':
    print('seed %d' % options.seed)
    machine.login()
    harness.main(globals(), finish)
