#!/usr/bin/python3
"""A disk that boots by itself (`bw image`), with stores in its partitions: in QEMU from a virtio and an ATA disk, and in
Bochs; through power cuts; districts made on free partitions by the running system; and partition tables that cannot be
true."""
import os
import re
import shutil
import struct
import subprocess
import time
import zlib

import harness
from machine import MKDISTRICT, SCRATCH, SLOW, TOP, Machine, make_store, verify_store

check = harness.Checks
MIB = 1 << 20
SECTOR = 512
folder = os.path.join(SCRATCH, 'image')
shutil.rmtree(folder, ignore_errors=True)
os.makedirs(folder)
IMAGE = os.path.join(folder, 'disk')
NAMES = ('alpha', 'beta')
ENVIRONMENT = dict(os.environ, BW_BUILT='1')
stores = [make_store(os.path.join(folder, name + '.district'), name, size='32M', interval='never') for name in NAMES]
machine = None


def bw(*arguments):
    done = subprocess.run([os.path.join(TOP, 'bw'), *arguments], capture_output=True, text=True, env=ENVIRONMENT)
    return done.returncode, done.stderr.strip()


def use(image=IMAGE, **kind):
    """Boots from the image, and logs in."""
    global machine
    close()
    machine = Machine([], image=image, name='disk,image', **kind)  # a name that Bochs cannot be told
    machine.login()


def close():
    global machine
    if machine:
        machine.close()
    machine = None


def entries(image):
    """(first sector, sectors) of the partitions, by number."""
    with open(image, 'rb') as f:
        f.seek(2 * SECTOR)
        table = f.read(128 * 128)
    found = {}
    for n in range(128):
        first, last = struct.unpack_from('<QQ', table, n * 128 + 32)
        if last:
            found[n + 1] = first, last - first + 1
    return found


def verify_partition(number):
    """What is in the partition is a store that is right."""
    first, sectors = entries(IMAGE)[number]
    path = os.path.join(folder, 'taken-out')
    subprocess.run(['dd', 'if=' + IMAGE, 'of=' + path, 'bs=1M', 'skip=%d' % (first * SECTOR // MIB),
                    'count=%d' % (sectors * SECTOR // MIB), 'conv=sparse', 'status=none'], check=True)
    verify_store(path)


def forged(name, change, sums=True):
    """A copy of the image whose table was changed, in both copies; sums: their checksums are right again."""
    path = os.path.join(folder, name)
    subprocess.run(['cp', '--sparse=always', IMAGE, path], check=True)
    with open(path, 'r+b') as f:
        end = os.fstat(f.fileno()).st_size // SECTOR
        for header, at in ((1, 2), (end - 1, end - 33)):
            f.seek(at * SECTOR)
            table = bytearray(f.read(128 * 128))
            change(table)
            f.seek(at * SECTOR)
            f.write(table)
            f.seek(header * SECTOR)
            head = bytearray(f.read(92))
            if sums:
                struct.pack_into('<I', head, 88, zlib.crc32(table))
                struct.pack_into('<I', head, 16, 0)
                struct.pack_into('<I', head, 16, zlib.crc32(head))
            f.seek(header * SECTOR)
            f.write(head)
    return path


# ---- making one ----------------------------------------------------------------------------------

def test_an_image_is_made():
    code, said = bw('image', IMAGE, *stores, '--free', '32M', '--size', '192M')
    check.equal(code, 0, said)
    check.equal(os.stat(IMAGE).st_size, 192 * MIB)
    check.equal(os.stat(IMAGE).st_mode & 0o777, 0o600)
    check.equal([(n, sectors // 2048) for n, (_, sectors) in entries(IMAGE).items()],
                [(1, 1), (2, 16), (3, 32), (4, 32), (5, 32), (6, 32), (7, 192 - 18 - 4 * 32 - 1)])


def test_what_cannot_be_made_is_refused():
    other = os.path.join(folder, 'other')
    for arguments, why in (((IMAGE,), 'exists; remove it first'),
                           ((other, '--size', '64M', *stores), '--size: 115M are needed'),
                           ((other, '--size', '64'), '--size wants a size'),
                           ((other, '--free', '0M'), '--free wants a size'),
                           ((other, os.path.join(folder, 'none')), 'no such store'),
                           ((other, stores[0], stores[0]), 'two stores hold a district named alpha'),
                           ((other, *['--free', '1M'] * 15, *stores), 'room for 16'),
                           ((), 'image wants a file')):
        code, said = bw('image', *arguments)
        check.true(code > 0, '%r succeeded' % (arguments,))
        check.contains(said, why)
    check.true(not os.path.exists(other), 'nothing is left')
    check.equal([name for name in os.listdir(folder) if name.startswith('.')], [])


def test_what_is_no_disk_to_boot_from_is_refused():
    for machine_ in 'qemu', 'bochs':
        code, said = bw('run', '--print', '--machine', machine_, '--image', stores[0])
        check.true(code > 0, 'a store was booted')
        check.contains(said, 'is no disk to boot from')


# ---- booting it ----------------------------------------------------------------------------------

def write_in_both(word):
    for name in NAMES:
        machine.restart(name)
        machine.sh('echo %s-%s >> /root/said' % (name, word))
        machine.detach()
        machine.checkpoint(name)
        machine.attach(name)
        machine.sh('echo too late >> /root/said')
        machine.detach()


def read_in_both(*words):
    for name in NAMES:
        machine.restart(name)
        check.equal(machine.sh('cat /root/said'), (0, '\n'.join('%s-%s' % (name, word) for word in words)))
        machine.detach()


def test_boots_from_virtio():
    use()
    check.contains(machine.command('districts'), 'beta')
    write_in_both('one')


def test_the_image_is_held():
    code, said = bw('run', '--print', '--image', IMAGE)
    check.true(code > 0, 'a second machine from it')
    check.contains(said, 'is in use, by qemu-system-x86_64, process %d' % machine.child.pid)


def test_a_power_cut():
    machine.start()
    machine.login()
    read_in_both('one')
    for name in NAMES:  # both at once are half-way through writing
        machine.attach(name)
        machine.sh('while :; do echo x >> /tmp/x; done &')
        machine.detach()
        machine.command('interval %s 20ms' % name)
    machine.read_for(1)
    machine.unplug()
    verify_partition(4)
    verify_partition(5)
    machine.start()
    machine.login()
    for name in NAMES:
        machine.restart(name)
        machine.sh('kill $!; wait; rm /tmp/x')
        machine.detach()
        machine.command('interval %s off' % name)
        machine.checkpoint(name)


def test_boots_from_ata():
    use(disk='ide')
    for name in NAMES:
        machine.restart(name)
        machine.sh('echo %s-two >> /root/said' % name)
        machine.detach()
        machine.checkpoint(name)
    machine.start()
    machine.login()
    read_in_both('one', 'two')


# ---- making a district on a free partition -------------------------------------------------------

def test_a_free_partition_is_known():
    use()
    text = machine.command('disks')
    for line in ('disk0p3 .* district fresh', 'disk0p4 .* district alpha', 'disk0p6 .* free', 'disk0p7 .* free'):
        check.true(re.search(line, text), '%s in %r' % (line, text))


def test_what_mkdistrict_refuses():
    for words, why in (('web disk0p1', 'there is no disk0p1 for a district'),
                       ('web disk0p4', 'something is there already'),
                       ('web disk0p4 --force', 'something is there already'),
                       ('-web disk0p6', "'-web' cannot be a name"),
                       ('alpha disk0p6', 'there is a district alpha already'),
                       ('web disk0p6 --from nobody', "no district is named 'nobody'"),
                       ('web disk0p6 --interval 1ms', "'--interval 1ms' is not known"),
                       ('web disk0p6 --keep 1,1,1,1', "'--keep 1,1,1,1' is not known")):
        check.contains(machine.command('mkdistrict ' + words), why)


def test_a_cut_while_it_is_made():
    machine.send('mkdistrict web disk0p6\r')
    machine.expect('2559 of')
    machine.start()
    machine.login()
    check.true(re.search('disk0p6 .* free', machine.command('disks')), 'it is still free')
    machine.send('mkdistrict web disk0p6\r')
    machine.expect('511 of')
    machine.send('\x03')
    machine.expect('still free')
    machine.expect('guest@')


def test_a_new_district():
    check.contains(machine.command('mkdistrict web disk0p6 --interval off --keep 3,1,1,1', 60),
                   "web: made on disk0p6 from generation 0 of fresh")
    check.contains(machine.command('mkdistrict web2 disk0p6'), 'something is there already')
    check.equal(machine.restart('web'), 0)
    machine.sh('echo new > /root/said')
    machine.detach()
    generation = machine.checkpoint('web')
    machine.unplug()
    verify_partition(6)
    store = os.path.join(folder, 'taken-out')
    for question in (['--info', store], ['dump', store, 'system']):
        said = subprocess.run([MKDISTRICT, *question], capture_output=True, text=True)
        check.true(re.search('name +"?web', said.stdout), said.stdout)
    machine.start()
    machine.login()
    check.contains(machine.command('retention web'), '3')
    check.equal(machine.restart('web'), generation)
    check.equal(machine.sh('cat /root/said; ls /tmp'), (0, 'new'))
    machine.detach()


def test_a_copy_of_a_district_that_runs():
    """What it was doing is done in both from then on."""
    machine.attach('web')
    machine.sh('what=both; (sleep 1; echo done > /root/done) &')
    machine.detach()
    generation = machine.checkpoint('web')
    check.contains(machine.command('mkdistrict twin disk0p7 --from web', 60), 'from generation %d of web' % generation)
    machine.restart('twin')
    for name in ('twin', 'web'):
        check.equal(machine.sh('echo $what; until [ -e /root/done ]; do sleep 0.1; done; cat /root/done'),
                    (0, 'both\ndone'))
        machine.sh('what=%s' % name)
        machine.detach()
        machine.checkpoint(name)
        machine.attach('web')
    machine.detach()
    machine.start()
    machine.login()
    for name in ('twin', 'web'):
        machine.restart(name)
        check.equal(machine.sh('echo $what'), (0, name))
        machine.detach()


# ---- tables that cannot be -----------------------------------------------------------------------

def overlapping(table):
    struct.pack_into('<Q', table, 3 * 128 + 32, struct.unpack_from('<Q', table, 2 * 128 + 40)[0])


def too_long(table):
    struct.pack_into('<Q', table, 5 * 128 + 40, 1 << 40)


def wait_for_event(words):
    """A disk may turn up after the login."""
    end = time.monotonic() + 30 * SLOW
    while words not in machine.command('events'):
        check.true(time.monotonic() < end, '%r in %r' % (words, machine.command('events')))


def test_tables_that_cannot_be():
    """The disk is not used, the user is told, and the machine goes on."""
    for n, (change, why) in enumerate(((overlapping, 'partitions 3 and 4 overlap'),
                                       (too_long, 'partition 6 is not within the disk'))):
        use(forged('forged%d' % n, change), disk=('virtio', 'ide')[n])
        wait_for_event('its partition table is refused: ' + why)
        listed = machine.command('districts')
        check.contains(listed, 'disk0')
        check.true('alpha' not in listed, listed)


def too_many(table):
    first, = struct.unpack_from('<Q', table, 6 * 128 + 32)
    for n in range(14):
        table[(6 + n) * 128:(7 + n) * 128] = table[6 * 128:7 * 128]
        struct.pack_into('<QQ', table, (6 + n) * 128 + 32, first + n * 2048, first + n * 2048 + 2047)


def test_more_partitions_than_there_is_room_for():
    use(forged('many', too_many))
    wait_for_event('of its 18 partitions the last 2 cannot be used')
    check.contains(machine.command('disks'), 'disk0p18')
    read_in_both('one', 'two')


def test_the_second_copy_of_the_table():
    path = forged('second', overlapping, sums=False)
    with open(path, 'r+b') as f:
        end = os.fstat(f.fileno()).st_size // SECTOR
        with open(IMAGE, 'rb') as good:
            good.seek((end - 33) * SECTOR)
            f.seek((end - 33) * SECTOR)
            f.write(good.read(33 * SECTOR))
    use(path)
    read_in_both('one', 'two')


# ---- the other machine ---------------------------------------------------------------------------

def test_boots_in_bochs():
    use(emulator='bochs')
    check.contains(bw('run', '--print', '--image', IMAGE)[1],
                   'is in use, by bochs-bin, process %d' % machine.child.pid)
    machine.restart('beta')
    check.equal(machine.sh('cat /root/said'), (0, 'beta-one\nbeta-two'))
    machine.sh('echo beta-three >> /root/said')
    machine.detach()
    machine.checkpoint('beta')
    machine.unplug()
    verify_partition(5)


if __name__ == '__main__':
    harness.main(globals(), close)
