#!/usr/bin/python3
"""Links between districts, with the example programs: a payer in one district pays into an account of another, while
either is killed, goes back in time and comes again. No payment is lost or made twice."""
import os
import re
import shutil
import subprocess
import time

import harness
from machine import BUILD, SCRATCH, TOP, Machine, make_store, verify_store

check = harness.Checks


def path(name):
    return os.path.join(SCRATCH, 'links', name + '.district')


def compiled(name, text=None):
    """A native program that is compiled outside of the tree, as docs/programs.md tells: (path, what was complained of)."""
    folder = os.path.join(SCRATCH, 'links', 'mine')
    shutil.copytree(os.path.join(TOP, 'userland', 'examples'), folder, dirs_exist_ok=True)
    if text:
        with open(os.path.join(folder, name + '.c'), 'w') as f:
            f.write(text)
    done = subprocess.run([os.path.join(BUILD, 'bin', 'native-cc'), name + '.elf', name + '.c'], cwd=folder,
                          capture_output=True, text=True)
    return os.path.join(folder, name + '.elf'), done.stderr


account, complaint = compiled('account')
check.equal(complaint, '')
bank = make_store(path('bank'), 'bank', size='32M', interval='200ms', native=[account])
shop = make_store(path('shop'), 'shop', size='32M', interval='200ms', native=['payer bank 3 20'])
machine = Machine([bank, shop], name='links')


def boot():
    machine.start()
    machine.login()


def start(name):
    machine.restart(name)
    machine.detach()


def link():
    """The payer's link, as `links` shows it: (state, connection, messages, text)."""
    found = wait_for('the link is listed', lambda: re.search(
        r'^bank/account +notify +(\w+) +(?:\S+ \S+|-) +(\d+) +(\d+) *(.*)$', machine.command('links shop'), re.MULTILINE))
    return found.group(1), int(found.group(2)), int(found.group(3)), found.group(4)


def wait_for(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while not (value := condition()):
        time.sleep(0.05)  # who asks without a rest takes the processor from the districts
        if time.monotonic() > end:
            raise AssertionError('%s: it did not come; links: %r; log: %r' % (
                what, machine.command('links shop'), machine.command('log shop')))
    return value


def agreements():
    """(connection, paid, known, balance) of each time the two have agreed, in this run of the shop."""
    return [tuple(map(int, found)) for found in re.findall(
        r'connection (\d+): we have paid (\d+), the account knows of (\d+), balance (\d+)', machine.command('log shop'))]


def live_and_paying():
    state, connection, messages, _ = link()
    return state == 'live' and messages > 5 and connection


def go_back(name):
    """To a generation that has none of the last payments."""
    for _ in range(3):
        sent = link()[2]
        wait_for('more payments', lambda: link()[2] > sent + 5)
        machine.checkpoint(name)
    machine.command('rollback %s --back 2' % name)


def check_agreements():
    """The balance is the number of payments: each counted once, whoever was rolled back."""
    for _, _, known, balance in agreements():
        check.equal(balance, known, 'balance and payments')


def test_waits_for_a_district_that_does_not_run():
    start('shop')
    wait_for('the broker has looked', lambda: 'that district does not run' in link()[3])
    check.equal(link()[:2], ('waits', 0))
    start('bank')
    wait_for('the link is established', live_and_paying)
    check.equal(link()[1], 1)


def test_the_account_is_killed():
    before = link()[1]
    machine.command('kill bank')
    wait_for('severed', lambda: link()[0] == 'waits')
    start('bank')
    check.equal(wait_for('relinked', live_and_paying), before + 1)
    check_agreements()
    check.true(agreements()[-1][1] >= agreements()[-1][2], 'the account knows no more than was paid')


def test_the_payer_is_killed():
    machine.command('kill shop')
    start('shop')
    wait_for('relinked', live_and_paying)
    check_agreements()


def test_the_account_goes_back():
    go_back('bank')
    wait_for('relinked', live_and_paying)
    _, paid, known, _ = agreements()[-1]
    check.true(known < paid, 'the account has forgotten payments (%d of %d)' % (known, paid))
    check_agreements()


def test_the_payer_goes_back():
    go_back('shop')
    wait_for('relinked', live_and_paying)
    _, paid, known, _ = agreements()[-1]
    check.true(known > paid, 'the payer has forgotten payments (%d of %d)' % (known, paid))
    check_agreements()


def test_barriers_return():
    durable = lambda: [int(n) for n in re.findall(r'(\d+) payments are durable', machine.command('log shop'))]
    first = wait_for('a barrier', durable)[-1]
    wait_for('another barrier', lambda: durable()[-1] > first)
    made = machine.command('generations shop')
    check.contains(made, 'as asked')  # by the barriers
    check.true('for want of space' not in made, made)


def test_a_power_cut():
    boot()
    start('shop')
    start('bank')
    wait_for('relinked', live_and_paying)
    check_agreements()


def test_what_is_not_there():
    check.contains(machine.command('links nobody'), "no district is named 'nobody'")
    machine.command('kill bank')
    check.contains(machine.command('links bank'), 'not running')
    check.contains(machine.command('log bank'), 'not running')


def test_a_program_with_linux_calls_is_not_native():
    program, complaint = compiled('wrong', '#include <unistd.h>\nint main_native(void) { return (int)write(1, "x", 1); }\n')
    check.contains(complaint, 'wrong.elf: a Linux system call in <')
    check.true(not os.path.exists(program), 'it is not there')


def finish():
    machine.close()
    verify_store(bank)
    verify_store(shop)


if __name__ == '__main__':
    machine.login()
    harness.main(globals(), finish)
