#!/usr/bin/python3
"""Debian's netcat in one district talks to netcat in another, by socket paths /district/NAME/PATH; and what both see
when one of the two is killed, goes back in time, or the power goes."""
import os
import re
import subprocess
import time

import harness
from machine import SCRATCH, Machine, make_store, make_tree, verify_store

check = harness.Checks
NC = 'nc.openbsd'
FOLDER = os.path.join(SCRATCH, 'sockets')


def path(name):
    return os.path.join(FOLDER, name + '.district')


def build():
    """The usual tree with our programs, statically linked."""
    programs = os.path.join(FOLDER, 'overlay', 'usr', 'bin')
    sources = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'sockets')
    os.makedirs(programs, exist_ok=True)
    for name in ('writer', 'impatient'):
        subprocess.run(['gcc', '-std=gnu11', '-static', '-O1', '-Wall', '-Wextra', '-Werror', '-o',
                        os.path.join(programs, name), os.path.join(sources, name + '.c')], check=True)
    return make_tree(os.path.join(FOLDER, 'tree.tar'), os.path.join(FOLDER, 'overlay'))


tree = build()
stores = [make_store(path(name), name, size='64M', interval='300ms', root=tree) for name in ('here', 'there')]
machine = Machine(stores, name='sockets')
attached = None


def boot():
    global attached
    attached = None
    machine.start()
    machine.login()
    for name in ('here', 'there'):
        if not re.search(r'^%s +running' % name, machine.command('districts'), re.MULTILINE):  # with one it is bonded with
            machine.restart(name)
            machine.detach()


def go(name):
    """To the console of a district, None: to the machine's shell."""
    global attached
    if attached and attached != name:
        machine.detach()
    if name and attached != name:
        machine.attach(name)
    attached = name


def sh(name, line, timeout=30):
    go(name)
    return machine.sh(line, timeout)


def command(line):
    go(None)
    return machine.command(line)


def says(name, line, expected, status=0, timeout=30):
    check.equal(sh(name, line, timeout), (status, expected), line)


def wait_for(name, line, expected, seconds=20):
    end = time.monotonic() + seconds
    while sh(name, line) != (0, expected):
        if time.monotonic() > end:
            raise AssertionError('%s in %s: %r, not %r' % (line, name, sh(name, line), expected))


def connect(target, options='-NU'):
    """netcat that connects once the other one listens, which may take it a moment to do."""
    return ('e=$(mktemp); for i in $(seq 100); do %s %s /district/%s 2> $e; r=$?; grep -q refused $e || break; '
            'sleep 0.1; done; cat $e; rm $e; (exit $r)' % (NC, options, target))


def wait_for_more(lines):
    """Numbers that have come over the connection of bonded districts."""
    end = time.monotonic() + 30
    while int(sh('here', 'wc -l < /tmp/counted')[1]) < lines:
        if time.monotonic() > end:
            raise AssertionError('%d numbers have not come' % lines)


def recover():
    boot()


def test_one_line():
    says('here', NC + ' -dlU /district/here/chat > /tmp/got &', '')
    says('there', 'echo from there | (%s)' % connect('here/chat'), '')
    wait_for('here', 'cat /tmp/got', 'from there')


def test_both_ways():
    says('here', '(sleep 0.3; echo answer) | %s -NlU /district/here/chat > /tmp/got &' % NC, '')
    says('there', '(echo question; sleep 1) | (%s)' % connect('here/chat'), 'answer')
    wait_for('here', 'cat /tmp/got', 'question')


def test_many_bytes():
    sh('there', 'dd if=/dev/urandom of=/tmp/big bs=64k count=40 2>/dev/null')
    says('here', NC + ' -dlU /district/here/big | md5sum > /tmp/sum &', '')
    status, text = sh('there', '(%s) < /tmp/big; md5sum < /tmp/big' % connect('here/big'), 60)
    wait_for('here', 'cat /tmp/sum', text)


def test_several_at_once():
    sh('there', 'for i in 1 2 3 4 5; do dd if=/dev/urandom of=/tmp/f$i bs=1k count=300 2>/dev/null; done')
    for i in range(1, 6):
        says('here', '%s -dlU /district/here/n%d > /tmp/f%d &' % (NC, i, i), '')
    for i in range(1, 6):
        says('there', '(%s) < /tmp/f%d &' % (connect('here/n%d' % i), i), '')
    sh('there', 'wait')
    _, sums = sh('there', 'cd /tmp; md5sum f1 f2 f3 f4 f5')
    wait_for('here', 'cd /tmp; md5sum f1 f2 f3 f4 f5', sums)


def test_refused():
    for target in ('/district/here/nobody', '/district/nowhere/chat'):
        status, text = sh('there', '%s -NU %s < /dev/null' % (NC, target))
        check.equal((status, text), (1, '%s: %s: Connection refused' % (NC, target)))
    status, text = sh('there', NC + ' -dlU /district/here/chat')
    check.equal(status, 1)
    check.contains(text, 'Cannot assign requested address')
    says('here', NC + ' -dlU /district/here/taken > /dev/null &', '')
    sh('here', 'sleep 0.5')
    status, text = sh('here', NC + ' -dlU /district/here/taken')
    check.equal(status, 1)
    check.contains(text, 'Address already in use')
    says('here', 'echo to myself | (%s)' % connect('here/taken'), '')


def connection_from_there():
    """A connection that stays open: there's end writes its exit status to /tmp/status."""
    sh('there', 'rm -f /tmp/status')
    sh('here', 'killall %s 2> /dev/null; rm -f /tmp/long; sleep 0.2' % NC)  # perhaps one of a past
    says('here', NC + ' -dlU /district/here/long > /tmp/long &', '')
    says('there', '(echo begin; sleep 1000) | (%s; echo over > /tmp/status) > /dev/null &' % connect('here/long', '-U'), '')
    wait_for('here', 'cat /tmp/long', 'begin')


def test_the_other_side_is_killed():
    connection_from_there()
    command('kill here')
    wait_for('there', 'cat /tmp/status', 'over')
    status, text = sh('there', '%s -NU /district/here/long < /dev/null' % NC)
    check.equal((status, text), (1, NC + ': /district/here/long: Connection refused'))
    go(None)
    machine.restart('here')
    machine.detach()
    says('here', NC + ' -dlU /district/here/new > /tmp/got &', '')
    says('there', 'echo again | (%s)' % connect('here/new'), '')
    wait_for('here', 'cat /tmp/got', 'again')


def test_the_other_side_goes_back():
    connection_from_there()
    command('rollback here --back 1')
    wait_for('there', 'cat /tmp/status', 'over')


def test_who_only_writes_is_told():
    """ECONNRESET also for writers, those that block and those that wait until they may write."""
    for kind in ('', '-n'):
        full, told = '/district/here/full' + kind, '/tmp/writer' + kind
        says('here', '(sleep 1000 | %s -lU %s > /dev/null) &' % (NC, full), '')
        says('there', '(until writer %s %s > %s 2>&1; do sleep 0.1; done) &' % (kind, full, told), '')
        wait_for('there', 'cat ' + told, 'connected')
    sh('here', 'killall -STOP %s' % NC)  # from now on nobody reads: the writers wait
    says('there', 'sleep 1', '')
    command('kill here')
    for kind in ('', '-n'):
        wait_for('there', 'cat /tmp/writer' + kind, 'connected\nsend: Connection reset by peer')
    go(None)
    machine.restart('here')
    machine.detach()
    sh('here', 'killall sleep; killall -KILL %s' % NC)


def test_power_cut():
    connection_from_there()
    says('here', NC + ' -dlU /district/here/stays > /tmp/got &', '')
    says('there', 'sleep 1', '')
    go(None)
    machine.checkpoint('here')
    machine.checkpoint('there')
    boot()
    wait_for('there', 'cat /tmp/status', 'over')  # that connection is lost ...
    says('there', 'echo after | (%s)' % connect('here/stays'), '')  # ... but who listened still does
    wait_for('here', 'cat /tmp/got', 'after')


def test_channels_come_back():
    """More connections, one after the other, than there can be at once."""
    says('here', NC + ' -dklU /district/here/many > /tmp/got &', '')
    says('there', 'echo 0 | (%s)' % connect('here/many'), '')
    says('there', 'for i in $(seq 40); do echo $i | %s -NU /district/here/many || echo failed; done' % NC, '', timeout=60)
    wait_for('here', 'wc -l < /tmp/got', '41')


def test_who_does_not_wait_to_be_connected():
    """What he has given up is forgotten by both sides: neither has a connection with nobody, and channels are free."""
    says('here', NC + ' -dklU /district/here/slow > /tmp/got &', '')
    says('there', 'echo 0 | (%s)' % connect('here/slow'), '')
    for _ in range(3):
        status, text = sh('there', 'impatient /district/here/slow', 60)
        check.true(text.endswith(' times'), text)
    says('there', 'for i in $(seq 20); do echo $i | %s -NU /district/here/slow || echo failed; done' % NC, '', timeout=60)
    wait_for('here', 'wc -l < /tmp/got', '21')
    sh('here', 'killall %s' % NC)


def test_no_room():
    """More connections from one district than it may have. EAGAIN would tell who polls, not blocked, to poll again."""
    says('here', '(sleep 1000 | %s -lU /district/here/few > /dev/null) &' % NC, '')
    says('there', '(until writer /district/here/few > /tmp/few0 2>&1; do sleep 0.1; done) &', '')
    wait_for('there', 'cat /tmp/few0', 'connected')
    says('there', 'for i in $(seq 16); do (writer /district/here/few > /tmp/few$i 2>&1) & done', '')
    wait_for('there', 'cat /tmp/few* | wc -l', '17')
    says('there', 'writer /district/here/few', 'connect: Resource temporarily unavailable', status=1)
    says('there', 'writer -n /district/here/few', 'connect: Connection refused', status=1)
    sh('here', 'killall sleep %s' % NC)


def test_who_may_connect():
    """/etc/district.allow says it, and is asked at each new connection; those that are there stay."""
    says('here', 'echo "private nobody" > /etc/district.allow; echo "* there" >> /etc/district.allow', '')
    says('here', '(sleep 1000 | %s -lU /district/here/private > /tmp/private) &' % NC, '')
    says('here', '(sleep 1000 | %s -lkU /district/here/public > /tmp/public) &' % NC, '')
    wait_for('there', 'echo 1 | %s -NU /district/here/public' % NC, '')
    for _ in range(2):
        status, text = sh('there', 'echo 2 | %s -NU /district/here/private' % NC)
        check.true(status != 0, 'status of a connect() that is not allowed')
        check.contains(text, 'Permission denied')
    says('here', 'cat /tmp/public /tmp/private', '1')
    says('here', 'echo "private there" > /etc/district.allow', '')
    wait_for('there', 'mkfifo /tmp/way; (%s -U /district/here/private < /tmp/way) & exec 8> /tmp/way; echo $?' % NC, '0')
    says('there', 'echo 3 >&8', '')
    wait_for('here', 'cat /tmp/private', '3')
    says('here', 'echo > /etc/district.allow', '')  # nobody
    status, text = sh('there', 'echo 4 | %s -NU /district/here/public' % NC)
    check.contains(text, 'Permission denied')
    says('there', 'echo 5 >&8', '')
    wait_for('here', 'cat /tmp/private', '3\n5')
    says('here', 'rm /etc/district.allow', '')
    wait_for('there', 'echo 6 | %s -NU /district/here/public' % NC, '')
    wait_for('here', 'cat /tmp/public', '1\n6')
    sh('there', 'exec 8>&-; rm /tmp/way; kill $(pidof %s)' % NC)
    sh('here', 'kill $(pidof sleep) $(pidof %s); rm /tmp/public /tmp/private' % NC)


def test_a_connection_of_bonded_districts_survives():
    """Both are always of one instant: nothing is lost or repeated, whatever happens to them."""
    check.contains(command('bond here there'), 'bonded with there')
    says('here', NC + ' -dlU /district/here/bonded > /tmp/counted &', '')
    says('there', '((sleep 1; n=0; while :; do n=$((n+1)); echo $n; sleep 0.02; done) | %s -NU /district/here/bonded; '
                  'echo over > /tmp/ended) &' % NC, '')
    count = 'wc -l < /tmp/counted'
    before = 0
    for what in (None, 'kill here', 'rollback there --back 2'):
        wait_for_more(before + 20)
        if what:
            command(what)
            if what.startswith('kill'):
                machine.restart('there')
                machine.detach()
        else:
            boot()
        before = int(sh('here', count)[1])
    wait_for_more(before + 20)
    says('here', 'seq $(%s) > /tmp/expected; head -n $(wc -l < /tmp/expected) /tmp/counted | cmp - /tmp/expected' % count, '')
    says('there', 'test -e /tmp/ended', '', status=1)
    check.contains(command('unbond here'), 'in no bond any more')
    command('kill here')
    go(None)
    machine.restart('here')
    machine.detach()
    wait_for('there', 'cat /tmp/ended', 'over')


def finish():
    machine.close()
    for store in stores:
        verify_store(store)


if __name__ == '__main__':
    boot()
    harness.main(globals(), finish, recover)
