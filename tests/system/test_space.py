#!/usr/bin/python3
"""A district that fills its store: its programs get errors, its shell goes on; it is checkpointed, cut off, taken
back and grown while it is full; and what it removes it can use again."""
import os
import re
import subprocess

import harness
from machine import MKDISTRICT, SCRATCH, Machine, make_store, make_tree, verify_store

check = harness.Checks
HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(SCRATCH, 'space')
NAME = 'small'
FULL = 'No space left on device'


def build():
    """A tree with a program that eats memory."""
    programs = os.path.join(FOLDER, 'overlay', 'usr', 'bin')
    os.makedirs(programs, exist_ok=True)
    subprocess.run(['gcc', '-std=gnu11', '-static', '-O1', '-Wall', '-Wextra', '-Wshadow', '-Werror', '-o',
                    os.path.join(programs, 'hog'), os.path.join(HERE, 'space', 'hog.c')], check=True)
    return make_tree(os.path.join(FOLDER, 'tree.tar'), os.path.join(FOLDER, 'overlay'))


tree = build()
store = make_store(os.path.join(FOLDER, 'small.district'), NAME, size='32M', root=tree)
large = make_store(os.path.join(FOLDER, 'large.district'), 'large', size='256M', root=tree)
machine = Machine([store, large], memory=128, name='space')
sh = machine.checked


def boot():
    machine.start()
    machine.login()
    return machine.restart(NAME)


def recover():
    boot()
    machine.send('\x03')
    machine.sh('rm -rf /full* /many /sparse')


def commons(line):
    """A command of the commons' shell, in between."""
    machine.detach()
    text = machine.command(line)
    machine.attach(NAME)
    return text


def checkpoint():
    machine.detach()
    generation = machine.checkpoint(NAME)
    machine.attach(NAME)
    return generation


def available():
    """KiB that df says files may have."""
    return int(sh('df / | tail -1').split()[3])


def fill(name='/full'):
    """Fills the store with a file; returns how many bytes it got."""
    text = sh('while cat /bin/busybox; do :; done >%s' % name, timeout=60)
    check.contains(text, FULL)
    return int(sh('wc -c <%s' % name))


def start_neighbour():
    """A counter beside all that follows; it writes within a page that is there."""
    sh('echo 0 >/run/count')
    sh('(n=0; while :; do n=$((n+1)); echo $n 1<>/run/count; sleep 0.1; done) & neighbour=$!')


def neighbour_runs():
    """The counter that runs all along has gone on."""
    before = int(sh('cat /run/count'))
    sh('sleep 0.5; [ $(cat /run/count) -gt %d ]' % before)


def test_room_is_told():
    machine.login()
    check.equal(machine.restart(NAME), 0)
    text = sh('df -k /')
    total, used, left = map(int, re.search(r'(\d+) +(\d+) +(\d+) +\d+% /', text).groups())
    check.equal(total, 32 << 10, text)
    check.true(4 << 10 < left < 20 << 10 and used + left <= total, text)
    check.contains(sh('cat /proc/meminfo'), 'MemTotal:          32768 kB')
    start_neighbour()
    neighbour_runs()


def test_a_full_store_is_a_message():
    size = fill()
    check.true(size > 4 << 20, size)
    check.equal(available(), 0)
    sh('ls -l / >/dev/null; cat /etc/passwd | wc -l', '1')
    check.contains(machine.sh('mkdir /many')[1], FULL)
    check.contains(machine.sh('dd if=/bin/busybox of=/full2 bs=64k')[1], FULL)
    neighbour_runs()
    text = commons('districts')
    check.contains(text, 'nearly full')
    check.contains(text, '--grow')
    check.contains(commons('events ' + NAME), 'nearly full')


def test_a_full_store_is_checkpointed_and_cut_off():
    size = sh('wc -c </full')
    generation = checkpoint()
    machine.unplug()
    verify_store(store)
    check.true(boot() >= generation, generation)
    sh('wc -c </full', size)
    check.equal(available(), 0)
    neighbour_runs()


def test_a_full_store_is_taken_back():
    sh('state=before')
    generation = checkpoint()
    sh('state=after')
    checkpoint()
    machine.detach()
    machine.command('rollback %s %d' % (NAME, generation))
    machine.attach(NAME)
    sh('echo $state', 'before')
    check.equal(available(), 0)
    checkpoint()
    neighbour_runs()


def test_what_is_removed_can_be_used_again():
    copies = int(sh('wc -c </full')) // int(sh('wc -c </bin/busybox')) - 1
    again = 'for i in%s; do cat /bin/busybox || break; done >/full3' % (' x' * copies)
    sh('rm /full /full2; ' + again, '')
    sh(again, '')
    sh('rm /full3; ' + again, '')
    sh('rm /full3')
    check.true(available() > 1900 * copies, available())
    sh('sleep 1.5')  # two intervals: it is committed, and the message is gone
    check.true('nearly full' not in commons('districts'), 'the message goes away')
    neighbour_runs()


def test_ten_gigabytes_behind_the_end_of_a_sparse_file():
    sh('echo end | dd of=/sparse bs=1M seek=10000 2>/dev/null; stat -c %s /sparse; rm /sparse',
       str((10000 << 20) + 4))
    text = sh('dd if=/dev/zero of=/sparse bs=1M seek=10000 count=10240', status=1, timeout=60)
    check.contains(text, FULL)
    check.true(int(sh('du -k /sparse').split()[0]) < 32 << 10, 'only pages that were written exist')
    sh('rm /sparse')
    neighbour_runs()


def test_ten_gigabytes_in_a_larger_store():
    """The same in 256 MiB, with a neighbour that is nearly full itself."""
    fill()
    machine.detach()
    machine.restart('large')
    text = sh('dd if=/dev/zero of=/sparse bs=1M seek=10000 count=10240', status=1, timeout=120)
    check.contains(text, FULL)
    check.true(150 < int(re.search(r'(\d+)\+0 records out', text).group(1)) < 256, text)
    sh('rm /sparse; echo yes >/after; cat /after', 'yes')
    machine.detach()
    check.contains(machine.command('kill large'), 'large')
    machine.attach(NAME)
    sh('rm /full')
    neighbour_runs()


def test_many_small_files():
    text = sh('mkdir /many; i=0; while echo $i >/many/$i; do i=$((i+1)); done; echo made $i', timeout=120)
    check.contains(text, FULL)
    made = int(re.search(r'made (\d+)', text).group(1))
    check.true(made > 500, made)
    sh('cat /many/%d' % (made - 1), str(made - 1))
    sh('rm -r /many', timeout=60)
    neighbour_runs()


def test_memory_ends_with_an_error():
    text = sh('hog ask', status=0, timeout=60)
    check.true(3 < int(re.search(r'got (\d+) MiB', text).group(1)) < 32, text)
    check.contains(sh('lua5.4 -e "t={} for i=1,1e9 do t[i]={i} end"', status=1, timeout=60), 'not enough memory')
    neighbour_runs()


def test_who_took_more_than_there_is_is_killed():
    check.contains(sh('hog touch', status=137, timeout=60), '(hog) is killed for its memory')
    neighbour_runs()
    status, text = machine.sh('hog read </dev/zero', 60)
    check.true(status == 137 and 'is killed for its memory' in text or status == 1 and 'hog:' in text, text)
    neighbour_runs()


CHURN = '''i=0; mkdir -p /many
while :; do
  i=$((i+1))
  cat /bin/busybox /bin/busybox >/many/$((i%7))
  [ $((i%11)) = 0 ] && rm -f /many/?
  [ $((i%3)) = 0 ] && lua5.4 -e 't={} for i=1,3e5 do t[i]={i} end'
  for j in 1 2 3 4 5 6 7 8 9; do echo $i$j >/many/$i.$j; done
  [ $((i%20)) = 0 ] && rm -f /many/*.*
  echo $i 1<>/run/churned
done >/dev/null 2>&1
'''


def test_power_cuts_at_the_edge():
    """Files, memory and processes come and go in a store that has no room for all of them: here even a small process
    may be killed, but not the shell, which looks on without starting any."""
    sh("cat >/churn <<'END'\n%sEND\necho 0 >/run/churned" % CHURN)
    sh('sh /churn & p=$!; sh /churn & p="$p $!"')
    for _ in range(2):
        machine.read_for(1.5)
        machine.unplug()
        verify_store(store)
        boot()
        sh('read a </run/churned; b=$a; until [ "$b" != "$a" ]; do read b </run/churned; done', timeout=60)
    sh('kill -9 $p; wait $p 2>/dev/null; until rm -r /many /churn 2>/dev/null; do :; done', timeout=60)
    machine.sh('kill $neighbour')  # it may have been refused a process, and have ended
    start_neighbour()


def mkdistrict(*words):
    done = subprocess.run([MKDISTRICT, *words], capture_output=True, text=True)
    check.equal(done.returncode, 0, done.stdout + done.stderr)


def test_no_room_to_start_in():
    """A store that was filled before its first start: the district waits, and starts when it is larger."""
    checkpoint()
    machine.unplug()
    make_store(large, 'large', size='16M', root=tree)
    with open(os.path.join(FOLDER, 'fat'), 'wb') as f:
        f.write(os.urandom(4400 << 10))
    mkdistrict('put', large, os.path.join(FOLDER, 'fat'), '/fat')
    boot()
    machine.detach()
    machine.restart('large')
    check.equal(machine.read_for(2), '')
    machine.detach()
    check.contains(machine.command('districts'), 'nearly full')
    machine.command('checkpoint large')
    machine.unplug()
    mkdistrict('--grow', '24M', large)
    machine.start()
    machine.login()
    machine.restart('large')
    machine.prompt()
    sh('rm /fat; echo x >/there; cat /there', 'x')
    machine.unplug()
    boot()


def test_a_full_store_grows():
    fill()
    generation = checkpoint()
    machine.unplug()
    mkdistrict('--grow', '64M', store)
    check.true(boot() >= generation, generation)
    check.true(available() > 20 << 10, available())
    sh('cat /full /full >/full2; rm /full /full2', timeout=60)
    check.true('nearly full' not in commons('districts'), 'the message goes away')
    neighbour_runs()


def test_the_store_is_sound():
    checkpoint()
    machine.unplug()
    verify_store(store)


if __name__ == '__main__':
    harness.main(globals(), machine.close, recover)
