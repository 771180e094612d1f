#!/usr/bin/python3
"""The second machine: Bochs, an x86 by others, stricter than QEMU and with a PC's classic devices only, that GRUB boots
from a CD."""
import os
import subprocess

import harness
from machine import MKDISTRICT, SCRATCH, Machine, make_store, verify_store

check = harness.Checks
NAME = 'traveller'

store = make_store(os.path.join(SCRATCH, 'bochs', NAME + '.district'), NAME, size='64M')
machine = Machine([store], name='bochs', emulator='bochs')


def test_login():
    machine.login(120)
    check.contains(machine.command('help'), 'districts')


def test_the_store_is_held():
    done = subprocess.run([MKDISTRICT, '--info', store], capture_output=True, text=True)
    check.contains(done.stderr, 'in use by bochs-bin, process %d' % machine.child.pid)
    machine.unplug()
    verify_store(store)


def test_poweroff():
    machine.start()
    machine.login(120)
    machine.send('poweroff\r')
    machine.wait_off()


if __name__ == '__main__':
    harness.main(globals(), machine.close)
