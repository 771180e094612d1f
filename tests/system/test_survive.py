#!/usr/bin/python3
"""What is half-done in a district when the power goes, and goes on afterwards: sleeps, reads, jobs, open files,
pipes; and what must not be the same again: randomness and the time of day."""
import os
import re
import time

import harness
from machine import SCRATCH, Machine, make_store, verify_store

check = harness.Checks
NAME = 'survivor'

store = make_store(os.path.join(SCRATCH, 'survive', 'survivor.district'), NAME, interval='never')
machine = Machine([store], name='survive')
sh = machine.checked


def boot():
    machine.start()
    machine.login()
    return machine.restart(NAME)


def recover():
    boot()
    machine.send('\x03')
    machine.sh('true')


def checkpoint():
    machine.detach()
    generation = machine.checkpoint(NAME)
    machine.attach(NAME)
    return generation


def cut(down=0):
    """Power cut, and back; the store is checked in between."""
    machine.unplug()
    verify_store(store)
    time.sleep(down)
    return boot()


def checkpoint_and_cut(down=0):
    generation = checkpoint()
    check.equal(cut(down), generation, 'generation after the cut')


def test_cut_before_the_first_checkpoint():
    machine.login()
    check.equal(machine.restart(NAME), 0)
    sh('echo first > /tmp/first')
    check.equal(cut(), 0, 'generation')
    sh('cat /tmp/first 2>/dev/null', '', 1)


def test_shell_state():
    sh('a="one two"; f() { echo "f $1"; }; cd /usr/bin; umask 027; alias hi="echo hello"; trap "echo trapped" USR1')
    checkpoint_and_cut()
    sh('echo $a; f x; pwd; umask', 'one two\nf x\n/usr/bin\n0027')
    sh('hi', 'hello')
    check.contains(sh('kill -USR1 $$; true'), 'trapped')
    sh('cd /; umask 022')


def test_sleep_goes_on_for_what_was_left():
    """By the district's own clock, for which the time without power does not count. One that began to sleep for as
    long afterwards would wake up after another who sleeps until soon after it should have."""
    sh('{ read t x < /proc/uptime; sleep 4; read u x < /proc/uptime; echo $t $u > /tmp/slept; } &')
    sh('sleep 2.5')
    checkpoint_and_cut(down=3)
    sh('sleep 2; [ -s /tmp/slept ]')
    begin, end = map(float, sh('cat /tmp/slept').split())
    check.true(end - begin >= 4, 'it slept from %.2f to %.2f' % (begin, end))
    sh('wait; rm /tmp/slept')


def test_read_from_the_console_goes_on():
    machine.send('read line; echo "g""ot <$line>"\n')
    machine.read_for(0.5)
    checkpoint_and_cut()
    machine.read_for(0.3)
    machine.send('typed after the cut\n')
    machine.expect('got <typed after the cut>')


def test_half_a_line_typed():
    machine.send('read line; echo "g""ot <$line>"\n')
    machine.read_for(0.5)
    machine.send('first ')
    machine.read_for(0.3)
    checkpoint_and_cut()
    machine.read_for(0.3)
    machine.send('second\n')
    machine.expect('got <first second>')


def test_jobs():
    sh('sleep 1000 &')
    machine.send('sleep 2000\n')
    machine.read_for(0.5)
    machine.send('\x1a')
    machine.expect('Stopped')
    checkpoint_and_cut()
    text = sh('jobs')
    check.true(re.search(r'Stopped.*sleep 2000', text) and re.search(r'Running.*sleep 1000', text), text)
    sh('kill -9 %1 %2; wait 2>/dev/null; jobs > /dev/null; true')


def test_a_signal_at_restarts():
    """Who has asked for it, in /proc/self/restart_signal, is told of each restart; its children are not."""
    sh('''sh -c 'trap "grep reason /proc/district >> /tmp/told" USR1; echo 10 > /proc/self/restart_signal; '''
       '''cat /proc/$PPID/restart_signal /proc/$$/restart_signal > /tmp/wishes; while :; do sleep 0.1; done' &''')
    sh('sleep 1; cat /tmp/wishes', '0\n10')
    sh('echo 65 > /proc/self/restart_signal', status=1)
    sh('echo x > /proc/self/restart_signal', status=1)
    sh('echo 10 > /proc/self/stat', status=1)
    sh('echo 12 > /proc/self/restart_signal; sh -c "cat /proc/self/restart_signal"; cat /proc/$$/restart_signal', '0\n12')
    sh('echo 0 > /proc/self/restart_signal')
    generation = checkpoint()
    cut()
    sh('until [ -s /tmp/told ]; do sleep 0.1; done; cat /tmp/told', 'reason asked')
    machine.detach()
    machine.command('rollback %s %d' % (NAME, generation))
    machine.attach(NAME)
    sh('until [ -s /tmp/told ]; do sleep 0.1; done; cat /tmp/told', 'reason rolled back')
    sh('kill %1; wait; rm /tmp/told')


def test_wait_for_a_child():
    machine.send('(sleep 2; exit 9) & wait $!; echo "ch""ild $?"\n')
    machine.read_for(0.5)
    checkpoint_and_cut()
    machine.expect('child 9', 15)


def test_open_files():
    sh('seq 1 9 > /tmp/nine; exec 3< /tmp/nine; read x <&3; read x <&3')
    sh('exec 4> /tmp/four; echo a >&4')
    sh('echo unlinked > /tmp/u; exec 5< /tmp/u; rm /tmp/u')
    checkpoint_and_cut()
    sh('read x <&3; echo $x', '3')
    sh('echo b >&4; cat /tmp/four', 'a\nb')
    sh('cat <&5; ls /tmp/u 2>/dev/null', 'unlinked', 1)
    sh('exec 3<&- 4>&- 5<&-')


def test_bytes_in_a_pipe():
    sh('mkfifo /tmp/p; exec 6<>/tmp/p; echo in the pipe >&6')
    checkpoint_and_cut()
    sh('read x <&6; echo $x; exec 6>&-; rm /tmp/p', 'in the pipe')


def test_what_was_done_after_the_checkpoint_is_gone():
    sh('echo kept > /tmp/state')
    checkpoint()
    sh('echo lost > /tmp/state; echo new > /tmp/new; rm /tmp/nine; sleep 300 &')
    cut()
    sh('cat /tmp/state; ls /tmp/new 2>/dev/null; wc -l < /tmp/nine; jobs', 'kept\n9')


def test_randomness_is_fresh_in_each_incarnation():
    generation = checkpoint()
    seen = set()
    for _ in range(4):
        check.equal(cut(), generation, 'generation')
        seen.add(sh('head -c 16 /dev/urandom | md5sum'))
        seen.add(sh("lua -e 'print(math.random(1 << 60))'"))
    check.equal(len(seen), 8, 'different random values')


def test_time_of_day_is_right_and_uptime_goes_on():
    before = float(sh('cut -d" " -f1 /proc/uptime'))
    checkpoint()
    cut(down=3)
    off = int(sh('date +%s')) - time.time()
    check.true(abs(off) < 4, 'the time of day is off by %.1f s' % off)
    after = float(sh('cut -d" " -f1 /proc/uptime'))
    check.true(after >= before, 'uptime went from %s to %s' % (before, after))


def test_big_memory():
    machine.send("lua -i -e 't = {} for i = 1, 400000 do t[i] = i * 7 % 1000003 end'\n")
    machine.expect('> ', 60)
    machine.send('s = 0 for i = 1, #t do s = s + t[i] end print("sum", s)\n')
    machine.expect(r'sum\s+(\d+)\r', 60)
    total = machine.match.group(1)
    checkpoint_and_cut()
    machine.read_for(0.3)
    machine.send('s = 0 for i = 1, #t do s = s + t[i] end print("again", s)\n')
    machine.expect(r'again\s+(\d+)\r', 60)
    check.equal(machine.match.group(1), total)
    machine.send('os.exit()\n')
    sh('true')


def test_many_processes():
    sh('i=0; while [ $i -lt 60 ]; do (sleep 500; exit $i) & i=$((i+1)); done 2>/dev/null; true', timeout=60)
    sh('ps | grep -c "sleep 50[0]"')
    before = sh('ps | grep "sleep 50[0]" | sort')
    checkpoint_and_cut()
    check.equal(sh('ps | grep "sleep 50[0]" | sort'), before, 'processes and their ids')
    sh('killall sleep; wait 2>/dev/null; true', timeout=60)


def test_cuts_in_quick_succession():
    """Also before anything was committed again: the same generation, a new incarnation each time."""
    generation = checkpoint()
    incarnation = int(districts_line().group(3))
    for n in range(5):
        machine.unplug()
        check.equal(boot(), generation)
        check.equal(int(districts_line().group(3)), incarnation + n + 1, 'incarnation')


def districts_line():
    machine.detach()
    found = re.search(NAME + r' +(\w+) +(\d+) +(\d+) ', machine.command('districts'))
    machine.attach(NAME)
    return found


def test_a_cut_in_the_middle_of_a_boot():
    for delay in (0.05, 0.2, 0.4, 0.6):
        machine.start()
        time.sleep(delay)
        machine.unplug()
        verify_store(store)
    boot()
    sh('cat /tmp/state', 'kept')


if __name__ == '__main__':
    harness.main(globals(), machine.close, recover)
