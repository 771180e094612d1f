#!/usr/bin/python3
"""A disk that boots by itself (`bw image`), with stores in its partitions: in QEMU from a virtio and an ATA disk, and in
Bochs; through power cuts; and with partition tables that cannot be true."""
import os
import shutil
import struct
import subprocess
import zlib

import harness
from machine import SCRATCH, TOP, Machine, make_store, verify_store

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
    machine = Machine([], image=image, name='image', **kind)
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


def forged(name, change, first=True, second=True):
    """A copy of the image whose table was changed; the checksums of the named copies are right again."""
    path = os.path.join(folder, name)
    subprocess.run(['cp', '--sparse=always', IMAGE, path], check=True)
    with open(path, 'r+b') as f:
        end = os.fstat(f.fileno()).st_size // SECTOR
        for wanted, header, at in ((first, 1, 2), (second, end - 1, end - 33)):
            f.seek(at * SECTOR)
            table = bytearray(f.read(128 * 128))
            change(table)
            f.seek(at * SECTOR)
            f.write(table)
            f.seek(header * SECTOR)
            head = bytearray(f.read(92))
            if wanted:
                struct.pack_into('<I', head, 88, zlib.crc32(table))
                struct.pack_into('<I', head, 16, 0)
                struct.pack_into('<I', head, 16, zlib.crc32(head))
            f.seek(header * SECTOR)
            f.write(head)
    return path


# ---- making one ----------------------------------------------------------------------------------

def test_an_image_is_made():
    code, said = bw('image', IMAGE, *stores, '--free', '32M', '--size', '160M')
    check.equal(code, 0, said)
    check.equal(os.stat(IMAGE).st_size, 160 * MIB)
    check.equal(os.stat(IMAGE).st_mode & 0o777, 0o600)
    check.equal([(n, sectors // 2048) for n, (_, sectors) in entries(IMAGE).items()],
                [(1, 1), (2, 16), (3, 32), (4, 32), (5, 32), (6, 160 - 18 - 3 * 32 - 1)])


def test_what_cannot_be_made_is_refused():
    other = os.path.join(folder, 'other')
    for arguments, why in (((IMAGE,), 'exists; remove it first'),
                           ((other, '--size', '64M', *stores), '--size: 83M are needed'),
                           ((other, '--size', '64'), '--size wants a size'),
                           ((other, '--free', '0M'), '--free wants a size'),
                           ((other, os.path.join(folder, 'none')), 'no such store'),
                           ((other, stores[0], stores[0]), 'two stores hold a district named alpha'),
                           ((), 'image wants a file')):
        code, said = bw('image', *arguments)
        check.true(code > 0, '%r succeeded' % (arguments,))
        check.contains(said, why)
    check.true(not os.path.exists(other), 'nothing is left')
    check.equal([name for name in os.listdir(folder) if name.startswith('.')], [])


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
    for n in range(2):  # both at once are half-way through writing
        for name in NAMES:
            machine.attach(name)
            machine.sh('while :; do echo x >> /tmp/x; done &')
            machine.detach()
            machine.command('interval %s 20ms' % name)
        machine.read_for(1)
        machine.unplug()
        verify_partition(3)
        verify_partition(4)
        machine.start()
        machine.login()
        for name in NAMES:
            machine.restart(name)
            machine.sh('kill $!; wait; rm /tmp/x')
            machine.detach()
            machine.command('interval %s off' % name)
            machine.checkpoint(name)
    machine.start()
    machine.login()
    read_in_both('one')


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


# ---- tables that cannot be -----------------------------------------------------------------------

def overlapping(table):
    struct.pack_into('<Q', table, 3 * 128 + 32, struct.unpack_from('<Q', table, 2 * 128 + 40)[0])


def too_long(table):
    struct.pack_into('<Q', table, 5 * 128 + 40, 1 << 40)


def test_tables_that_cannot_be():
    """The disk is not used, the user is told, and the machine goes on."""
    for n, (change, sums, why) in enumerate(((overlapping, True, 'partitions 3 and 4 overlap'),
                                             (too_long, True, 'partition 6 is not within the disk'),
                                             (overlapping, False, 'neither copy of it is whole'))):
        use(forged('forged%d' % n, change, sums, sums), disk='ide' if n == 1 else 'virtio')
        check.contains(machine.command('events'), 'its partition table is refused: ' + why)
        listed = machine.command('districts')
        check.contains(listed, 'disk0')
        check.true('alpha' not in listed, listed)


def test_the_second_copy_of_the_table():
    use(forged('second', overlapping, first=False, second=False))
    close()
    path = os.path.join(folder, 'second')
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
    machine.restart('beta')
    check.equal(machine.sh('cat /root/said'), (0, 'beta-one\nbeta-two'))
    machine.sh('echo beta-three >> /root/said')
    machine.detach()
    machine.checkpoint('beta')
    machine.unplug()
    verify_partition(4)


if __name__ == '__main__':
    harness.main(globals(), close)
