#!/usr/bin/python3
"""Stores on ATA disks: workloads through power cuts, by DMA and, on a machine without PCI, by the processor; four disks
at the two channels. (I/O errors on them: test_ioerrors.py --disk ide.)

    test_ata.py [--seed N] [--long]
"""
import argparse
import json
import os
import socket
import sys

import harness
from machine import SCRATCH, Machine, make_store
from test_powercut import Story

check = harness.Checks
CUTS = 2

parser = argparse.ArgumentParser()
parser.add_argument('--seed', type=int, default=int(os.environ.get('BW_SEED', 1)))
parser.add_argument('--long', action='store_true', help='also a disk that does not answer')
options, sys.argv[1:] = parser.parse_known_args()


class OldMachine(Machine):
    """A PC that has no PCI: its disks are at the old ports, and have no bus master."""

    def __init__(self, stores, **more):
        super().__init__(stores, disk='ide', **more)

    def start(self):
        self.arguments = ['isapc' if a == 'pc' else a for a in self.arguments]
        if 'virtio-rng-pci,rng=random' in self.arguments:
            at = self.arguments.index('virtio-rng-pci,rng=random')
            del self.arguments[at - 1:at + 1]
        super().start()


class OldStory(Story):
    def use(self, **kind):
        self.machine = OldMachine([self.store], name=self.name, **kind)


def said(machine):
    with open(machine.log_path.replace('.log', '.nucleus'), errors='replace') as log:
        return log.read()


def tell(story, how):
    try:
        story.begin()
        check.contains(said(story.machine), 'ATA, ' + how)
        for _ in range(CUTS):
            story.cut_somewhere()
            story.come_back()
        check.true('failed' not in said(story.machine), said(story.machine))
        print('       %d power cuts' % CUTS)
    finally:
        story.close()


def test_workloads_and_cuts():
    tell(Story(options.seed, name='ata', disk='ide'), 'DMA')


def test_without_a_bus_master():
    tell(OldStory(options.seed, name='ata-old'), 'PIO')


def test_four_disks():
    """Districts on all of them, written at once; each has what was written to it."""
    names = ['d%d' % n for n in range(4)]
    stores = [make_store(os.path.join(SCRATCH, 'ata', name + '.district'), name, size='64M', interval='100ms')
              for name in names]
    with Machine(stores, disk='ide', name='ata-four') as machine:
        machine.login()
        for name in names:
            machine.restart(name)
            machine.sh('n=0; while :; do n=$((n+1)); echo %s $n >> /tmp/n; done &' % name)
            machine.detach()
        reached = {}
        for name in names:
            machine.attach(name)
            reached[name] = machine.sh('tail -n 1 /tmp/n')[1]
            machine.detach()
            machine.checkpoint(name)
        machine.start()
        machine.login()
        for name in names:
            machine.restart(name)
            machine.sh('kill %1; wait')
            found = machine.sh('tail -n 1 /tmp/n')[1]
            check.true(found.startswith(name + ' ') and int(found[3:]) >= int(reached[name][3:]),
                       '%r after %r' % (found, reached[name]))
            machine.detach()


def throttle(path, bytes_per_second):
    """How much the first disk writes in a second; 0: no limit. By QEMU's monitor, a socket at `path`."""
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(path)
        file = monitor.makefile('rw')
        for command in ({'execute': 'qmp_capabilities'},
                        {'execute': 'block_set_io_throttle',
                         'arguments': {'id': '/machine/peripheral-anon/device[1]', 'bps': 0, 'bps_rd': 0,
                                       'bps_wr': bytes_per_second, 'iops': 0, 'iops_rd': 0, 'iops_wr': 0}}):
            file.write(json.dumps(command) + '\n')
            file.flush()
        answers = [json.loads(file.readline()) for _ in range(3)]
        check.equal(answers[2], {'return': {}})


def a_disk_does_not_answer():
    """A checkpoint fails with a reason; when the disk works again the next one does not."""
    name = 'silent'
    store = make_store(os.path.join(SCRATCH, 'ata', name + '.district'), name, size='64M', interval='never')
    path = os.path.join(SCRATCH, 'ata', 'monitor')
    extra = ['-qmp', 'unix:%s,server=on,wait=off' % path]
    with Machine([store], disk='ide', name='ata-silent', extra=extra) as machine:
        machine.login()
        machine.restart(name)
        machine.sh('true')
        machine.detach()
        before = machine.checkpoint(name)
        machine.attach(name)
        machine.sh('echo more > /tmp/more')
        machine.detach()
        throttle(path, 1)
        check.contains(machine.command('checkpoint ' + name, 120), 'was not checkpointed: the disk failed')
        check.contains(said(machine), 'does not answer')
        throttle(path, 0)
        machine.attach(name)
        machine.sh('echo still more >> /tmp/more')
        machine.detach()
        check.true(machine.checkpoint(name) > before, 'a checkpoint when the disk works again')
        machine.start()
        machine.login()
        machine.restart(name)
        check.equal(machine.sh('cat /tmp/more'), (0, 'more\nstill more'))


if options.long:
    test_a_disk_that_does_not_answer = a_disk_does_not_answer

if __name__ == '__main__':
    harness.main(globals())
