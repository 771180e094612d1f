#!/usr/bin/python3
"""Districts that break: a fault that nobody takes, again and again; objects that the nucleus must not load; a
nucleus with a fault put in, whose snapshots the check before a commit must reject (build/mutant/broken.elf)."""
import contextlib
import os
import re
import subprocess
import time

import harness
from machine import BUILD, MKDISTRICT, PROMPT, SCRATCH, SLOW, Machine, make_store, verify_store, with_mutant, without
from screen import Screen

check = harness.Checks
folder = os.path.join(SCRATCH, 'broken')
POKE = os.path.join(BUILD, 'bin', 'poke')


def store(name, interval=None):
    return make_store(os.path.join(folder, name + '.district'), 'alpha', size='64M', interval=interval)


def settle(machine):
    """Two generations whose state is known: $n and /tmp/n are 1, then 2. Returns their numbers."""
    made = []
    machine.login()
    machine.restart('alpha')
    machine.detach()
    machine.command('interval alpha off')
    for n in (1, 2):
        machine.attach('alpha')
        machine.sh('n=%d; echo %d > /tmp/n' % (n, n))
        machine.detach()
        made.append(machine.checkpoint('alpha'))
    machine.command('kill alpha')
    machine.unplug()
    return made


def domains(path):
    text = subprocess.run([MKDISTRICT, 'dump', path, 'object', '16'], capture_output=True, text=True).stdout
    return re.findall(r'domain (0x[0-9a-f]+)', text)


def poke(path, oid, what):
    done = subprocess.run([POKE, path, oid, what], capture_output=True, text=True)
    check.equal(done.returncode, 0, done.stderr)
    return int(done.stdout)


def state(machine):
    machine.attach('alpha')
    status, text = machine.sh('echo $n; cat /tmp/n')
    machine.detach()
    check.equal(status, 0)
    check.equal(text.split()[0], text.split()[1], 'memory and file')
    return int(text.split()[0])


def test_the_same_fault_again_leads_farther_back():
    path = store('crash')
    with Machine([path], name='broken') as machine:
        good = settle(machine)
        bad = poke(path, domains(path)[0], 'rip')
        machine.start()
        machine.login()
        machine.send('restart alpha\r')
        machine.expect(r'restarted from generation %d, ' % bad)
        machine.expect(r'page fault of domain[^\r\n]*rolled back to generation %d\]' % good[-1])
        machine.detach()
        text = machine.command('events alpha')
        order = [int(n) for n in re.findall(r'rolled back to generation (\d+)', text)]
        check.equal(order, [bad, good[-1]], 'first to the newest, then one farther')
        check.equal(state(machine), 2)


def test_no_generation_left_is_said():
    """All of them have the fault: it stops, and says what there is."""
    path = store('hopeless')
    with Machine([path], name='broken') as machine:
        settle(machine)
        domain = domains(path)[0]
        bad = [poke(path, domain, 'rip') for _ in range(2)]
        machine.start()
        machine.login()
        machine.command('retention alpha 2,0,0,0')
        for generation in (0, 1, 2):
            machine.command('drop alpha %d' % generation)
        machine.send('restart alpha\r')
        machine.expect(r'\[alpha has ended: stopped: page fault of domain[^\]]*--generation N\' works with %d, %d' %
                       (bad[1], bad[0]))
        machine.expect(re.escape(PROMPT))
        check.true(re.search(r'alpha +stopped', machine.command('districts')), 'alpha is stopped')


def test_policy_continue_and_stop():
    path = store('policy')
    with Machine([path], name='broken') as machine:
        good = settle(machine)
        poke(path, domains(path)[0], 'rip')
        machine.start()
        machine.login()
        machine.command('policy alpha stop')
        machine.send('restart alpha\r')
        machine.expect(r'\[alpha has ended: stopped: page fault')
        machine.expect(re.escape(PROMPT))
        machine.command('policy alpha continue')
        machine.restart('alpha')
        machine.detach()
        end = time.monotonic() + 30 * SLOW
        while 'runs on after: page fault' not in machine.command('events alpha'):  # it may not have come to it yet
            check.true(time.monotonic() < end, machine.command('events alpha'))
        check.true(re.search(r'alpha +running', machine.command('districts')), 'alpha runs on')
        machine.command('policy alpha rollback')
        machine.command('rollback alpha %d' % good[-1])
        check.equal(state(machine), 2)


def test_what_the_nucleus_does_not_load_is_no_dead_end():
    path = store('forged')
    with Machine([path], name='broken') as machine:
        good = settle(machine)
        bad = poke(path, domains(path)[0], 'state')
        machine.start()
        machine.login()
        machine.send('restart alpha\r')
        machine.expect(r'of generation %d is not acceptable[^\r\n]*rolled back to generation %d\]' % (bad, good[-1]))
        machine.detach()
        check.equal(state(machine), 2)
        check.contains(machine.command('generations alpha'), 'DAMAGED')


def test_the_check_before_a_commit_rejects_what_is_broken():
    path = store('mutant')
    with Machine([path], name='broken', nucleus=os.path.join(BUILD, 'mutant', 'broken.elf')) as machine:
        machine.login()
        machine.restart('alpha')
        machine.sh('n=0; echo 0 > /tmp/n')
        machine.detach()
        machine.command('interval alpha off')
        known, rejected = {}, 0
        for n in range(1, 16):
            machine.attach('alpha')
            machine.sh('n=%d; echo %d > /tmp/n; /bin/busybox true' % (n, n))
            machine.detach()
            text = machine.command('checkpoint alpha', 60)
            made = re.search(r'generation (\d+) committed', text)
            if made:
                known[int(made.group(1))] = n
                continue
            check.contains(text, 'not checkpointed: its state is broken')
            rejected += 1
            back, end = [], time.monotonic() + 30 * SLOW
            while len(back) < rejected and time.monotonic() < end:  # who asked is told before it has gone back
                back = re.findall(r'the check before a commit failed: object \d+; rolled back to generation (\d+)',
                                  machine.command('events alpha'))
            check.equal(len(back), rejected, 'rollbacks')
            check.equal(state(machine), known[int(back[-1])], 'exactly what was committed')
        check.true(rejected >= 2, 'only %d broken snapshots' % rejected)
    verify_store(path)


# --- servers of the commons that fail: mutants of them, which end at a moment of their own ---------------------


def counting(machine):
    """Starts a process in the attached district that counts in a file."""
    machine.sh('i=0; while :; do i=$((i+1)); echo $i > /tmp/c.new; mv /tmp/c.new /tmp/c; sleep 0.05; done &')


def count(machine):
    machine.attach('alpha')
    status, text = machine.sh('cat /tmp/c')
    machine.detach()
    check.equal(status, 0)
    return int(text)


def test_a_store_server_that_fails_is_replaced_under_a_running_district():
    """It ends after the commit of generation 4, before anybody is told, and in the snapshot of generation 7."""
    path = store('stored', 'never')
    with Machine([path], name='broken', boot=with_mutant(folder, 'stored')) as machine:
        machine.login()
        machine.restart('alpha')
        counting(machine)
        machine.detach()
        made, lost, before = [], 0, 0
        for n in range(1, 11):
            text = machine.command('checkpoint alpha', 60)
            found = re.search(r'generation (\d+) committed', text)
            if found:
                made.append(int(found.group(1)))
            else:  # who waited for it is told
                check.contains(text, 'was not checkpointed: the server has ended')
                lost += 1
            now = count(machine)
            check.true(now >= before, 'it counted from %d to %d' % (before, now))
            before = now
        check.equal((lost, made), (2, [1, 2, 3, 5, 6, 8, 9, 10]), 'checkpoints')
        listed = [int(n) for n in re.findall(r'^[ *] +(\d+) ', machine.command('generations alpha'), re.MULTILINE)]
        check.true(4 in listed and 7 not in listed, 'what was committed: %s' % listed)
        check.equal(machine.command('events alpha').count('the district runs on'), 2)
        check.contains(machine.command('scrub alpha', 60), 'no damage')
        machine.unplug()
        machine.start()
        machine.login()
        check.equal(machine.restart('alpha'), 10)
        machine.detach()
        check.true(count(machine) > 0, 'it counts on')
        machine.command('kill alpha')
        machine.unplug()
    verify_store(path)


def test_a_districtd_that_fails_finds_the_districts_again():
    """It ends when it hears of the end of a scrub."""
    paths = [store('districtd'), make_store(os.path.join(folder, 'beta.district'), 'beta', size='64M')]
    with Machine(paths, name='broken', boot=with_mutant(folder, 'districtd')) as machine:
        machine.login()
        machine.restart('alpha')
        counting(machine)
        machine.detach()
        machine.command('scrub alpha', 60)
        end = time.monotonic() + 30 * SLOW
        while 'districtd failed and was started again' not in machine.command('events'):  # alpha's server registers
            check.true(time.monotonic() < end, machine.command('districts'))
        while not re.search(r'beta +stopped', machine.command('districts')):
            check.true(time.monotonic() < end, machine.command('districts'))
        check.true(re.search(r'alpha +running', machine.command('districts')), 'alpha runs')
        before = count(machine)
        check.true(machine.checkpoint('alpha') > 0, 'it is checkpointed')
        check.contains(machine.command('rollback alpha'), 'runs from generation')
        check.true(count(machine) >= before, 'it counts on')
        machine.restart('beta')
        check.equal(machine.sh('echo beta'), (0, 'beta'))
        machine.detach()


def test_a_districtd_that_is_given_up_is_said():
    """It ends when it hears of the end of a scrub, four times. Nobody waits for it; the district is checkpointed."""
    path = make_store(os.path.join(folder, 'districtd.district'), 'alpha', size='32M', interval='300ms')
    with Machine([path], name='broken', boot=with_mutant(folder, 'districtd')) as machine:
        machine.login()
        machine.restart('alpha')
        counting(machine)
        machine.detach()
        said, end = 'districtd, which looks after districts, has failed too often', time.monotonic() + 60 * SLOW
        while said not in machine.command('scrub alpha', 60):
            check.true(time.monotonic() < end, 'it is not given up')
        for command in ('districts', 'events', 'attach alpha', 'checkpoint alpha', 'poweroff'):
            check.contains(machine.command(command), said)
        time.sleep(0.5)
        machine.send('poweroff --force\r')
        machine.wait_off()
        machine.start()
        machine.login()
        check.true(machine.restart('alpha') > 1, 'it was checkpointed')
        machine.detach()
        check.true(count(machine) > 0, 'it counts on')


def test_a_districtd_that_fails_still_makes_links():
    """What the districts open and publish afterwards is found by the next one."""
    paths = [store('links'), make_store(os.path.join(folder, 'beta.district'), 'beta', size='64M')]
    with Machine(paths, name='broken', boot=with_mutant(folder, 'districtd')) as machine:
        machine.login()
        for name in ('alpha', 'beta'):
            machine.restart(name)
            machine.detach()
        machine.command('scrub alpha', 60)
        machine.attach('beta')
        check.equal(machine.sh('nc.openbsd -dlU /district/beta/socket > /tmp/got &'), (0, ''))
        machine.sh('sleep 0.5')
        machine.detach()
        machine.attach('alpha')
        check.equal(machine.sh('echo hello | timeout 10 nc.openbsd -NU /district/beta/socket'), (0, ''))
        machine.detach()
        machine.attach('beta')
        check.equal(machine.sh('wait; cat /tmp/got'), (0, 'hello'))
        machine.detach()


def both():
    """The stores of alpha, on the first disk, and beta."""
    return [make_store(os.path.join(folder, name + '.district'), name, size='64M', interval='1h') for name in ('alpha', 'beta')]


def wait_for(machine, what, condition):
    end = time.monotonic() + 30 * SLOW
    while not condition():
        check.true(time.monotonic() < end, what + ': ' + machine.command('districts') + machine.command('events'))
        time.sleep(0.1)


def log_of(machine):
    with open(machine.log_path.replace('.log', '.nucleus'), encoding='utf-8', errors='replace') as log:
        return log.read()


def test_each_district_keeps_its_console():
    """districtd ends, and both store servers when they hear of that; alpha's comes after beta's."""
    with Machine(both(), name='broken', boot=with_mutant(folder, 'stored', 'districtd')) as machine:
        machine.login()
        for name in ('alpha', 'beta'):
            machine.restart(name)
            machine.sh('n=' + name)
            machine.detach()
        machine.command('scrub alpha', 60)
        for name in ('beta', 'alpha'):
            machine.attach(name)
            check.equal(machine.sh('echo $n'), (0, name))
            machine.detach()
        check.equal(log_of(machine).count('stored 1 is started again'), 1)


def test_an_end_of_a_bond_that_is_not_finished():
    """beta's store server ends when it is told to leave the bond, and then districtd."""
    with Machine(both(), name='broken', boot=with_mutant(folder, 'stored', 'districtd')) as machine:
        machine.login()
        for name in ('alpha', 'beta'):
            machine.restart(name)
            machine.detach()
        check.contains(machine.command('bond alpha beta'), 'bonded with beta')
        machine.command('unbond alpha')
        wait_for(machine, 'both run on', lambda: len(re.findall(' running ', machine.command('districts'))) == 2)
        for name in ('districtd', 'stored 1'):
            check.contains(log_of(machine), name + ' is started again')
        wait_for(machine, 'the bond is over', lambda: 'bonded' not in machine.command('districts'))
        for name in ('alpha', 'beta'):
            machine.attach(name)
            machine.sh('n=' + name)
            machine.detach()
            machine.checkpoint(name)


def test_clock_and_randomness_that_fail_are_granted_again():
    path = make_store(os.path.join(folder, 'granted.district'), 'alpha', size='32M', native=['bench_granted'])
    with Machine([path], name='broken', boot=with_mutant(folder, 'clock', 'entropy')) as machine:
        machine.login()
        machine.restart('alpha')
        machine.detach()
        for name in 'clock', 'entropy':
            said = 'granted: %s: it failed, and answered again: ' % name
            wait_for(machine, name, lambda: said in machine.command('log alpha'))
            check.contains(machine.command('log alpha'), said + 'yes')


def test_a_disk_driver_that_fails_while_its_store_is_idle():
    """It ends when it is idle after four flushes, and in the end is given up: that is said."""
    path = make_store(os.path.join(folder, 'idle.district'), 'alpha', size='32M', interval='1h')
    with Machine([path], name='broken', boot=with_mutant(folder, 'virtio_blk')) as machine:
        machine.login()
        while 'virtio_blk 0 is started again' not in log_of(machine):
            machine.command('autostart alpha off')
            time.sleep(0.5)
        wait_for(machine, 'its store server is another one', lambda: 'stored 0 is started again' in log_of(machine))
        machine.restart('alpha')
        check.equal(machine.sh('echo alpha'), (0, 'alpha'))
        machine.detach()
        end = time.monotonic() + 60 * SLOW
        while 'virtio_blk 0 has faulted 4 times within a minute: given up' not in log_of(machine):
            check.true(time.monotonic() < end, 'it is not given up')
            machine.command('autostart alpha off')
            time.sleep(0.4)
        wait_for(machine, 'it is said', lambda: re.search('virtio_blk 0 +has failed too often', machine.command('events')))
        check.contains(machine.command('checkpoint alpha'), 'was not checkpointed: the server has ended')
        check.contains(machine.command('districts'), 'its store server does not answer')


def generation(machine):
    return int(re.search(r'^alpha +running +(\d+) ', machine.command('districts'), re.MULTILINE).group(1))


def test_a_console_that_fails_is_granted_again():
    """It ends at Ctrl-\\. Its sessions are opened again, also for who has nothing to show, and gated ones are gated."""
    path = make_store(os.path.join(folder, 'console.district'), 'alpha', size='64M', interval='1h')
    with Machine([path], name='broken', boot=with_mutant(folder, 'console')) as machine:
        machine.login()
        machine.restart('alpha')
        machine.sh('n=5')
        machine.detach()
        for gated in 'off', 'on':
            machine.command('gated alpha ' + gated)
            machine.attach('alpha')
            check.equal(machine.sh('echo $n'), (0, '5'))
            machine.send('\x1c')
            machine.expect(re.escape(PROMPT), 60)
            before = generation(machine)
            machine.send('attach alpha\r')
            machine.expect(r'\[attached to [^\r\n]*\r\n')
            machine.expect(r'e\d+:0@')  # what was on the screen
            check.equal(machine.sh('echo and $n'), (0, 'and 5'))
            machine.detach()
            check.equal(generation(machine) > before, gated == 'on', 'it is shown when it is committed')
        check.contains(machine.command('districts'), 'shows only what is committed')
        machine.command('gated alpha off')
        check.equal(log_of(machine).count('supervisor: console is started again'), 2)


def test_who_sits_at_the_screen_does_without_the_line():
    """The serial line's driver ends at each ~ and is given up, which is said. A district attached there goes on, and is
    shown at the screen, also after the console has failed too (Ctrl-\\)."""
    path = store('line')
    monitor = os.path.join(folder, 'monitor')
    with Machine([path], name='broken', boot=with_mutant(folder, 'console', 'serial'), extra=Screen.arguments(monitor)) as machine, \
            contextlib.closing(Screen(monitor)) as screen:
        machine.login()
        machine.restart('alpha')
        machine.send('i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo counted $i > /tmp/i; echo counted $i; done\n')
        machine.expect('counted 1\r')
        end = time.monotonic() + 30 * SLOW
        while 'serial has faulted 4 times within a minute: given up' not in log_of(machine):
            check.true(time.monotonic() < end, 'serial is not given up')
            machine.send('~')
            time.sleep(0.05)
        screen.expect(r'^login:\s*\Z', 60)
        screen.type('guest\r')
        screen.expect(r'serial +has failed too often, and is not started')
        screen.expect(re.escape(PROMPT.rstrip()) + r'\s*\Z')
        idle, end = None, time.monotonic() + 60 * SLOW
        while not idle:
            check.true(time.monotonic() < end, 'the district does not come to an end')
            screen.press('ctrl-l')
            screen.type('checkpoint alpha\r')
            text = screen.expect(r'generation \d+[^$]*' + re.escape(PROMPT.rstrip()) + r'\s*\Z').text
            idle = re.search(r'nothing has changed since generation (\d+)', text)
        for _ in range(2):
            screen.expect(re.escape(PROMPT.rstrip()) + r'\s*\Z')
            screen.press('ctrl-l')
            screen.type('attach alpha\r')
            screen.expect(r'^counted 2000$', 60)
            screen.press('ctrl-backslash')
        machine.unplug()
        done = subprocess.run([MKDISTRICT, 'cat', '%s@%s' % (path, idle.group(1)), '/tmp/i'], capture_output=True, text=True)
        check.equal(done.stdout, 'counted 2000\n', 'what it did without a terminal')


def test_a_start_that_lacks_a_grant_names_it():
    path = store('ungranted')
    for name in ('clock', 'entropy'):
        with Machine([path], name='broken', boot=without(folder, name)) as machine:
            machine.login()
            check.contains(machine.command('restart alpha'), 'restart: alpha: this machine has no %s' % name)
            check.true(re.search(r'alpha +stopped', machine.command('districts')), 'it is stopped')
    with Machine([path], name='broken') as machine:
        machine.login()
        check.equal(machine.restart('alpha'), 0)


if __name__ == '__main__':
    harness.main(globals())
