"""Machines whose disks are not plain files: what lies between the machine and a store is given as QEMU block
devices (-blockdev), so that writes are recorded or errors injected below the guest.

    RecordedMachine(store, log)     every write and flush goes into the log, see tests/recorded
    FaultyMachine(store, rules)     blkdebug with these rules
"""
import json
import os
import struct

from machine import Machine

LOG_ENTRIES = 16  # where in the log its number of entries is


class LayeredMachine(Machine):
    """A machine whose first store is seen through the block device `layer(file)`: a dict for -blockdev."""

    def __init__(self, store, layer, **more):
        self.layer = layer
        self.layered = False
        super().__init__([store], **more)

    def start(self):
        if not self.layered:
            self.layered = True
            self.arguments = self.with_layer(self.arguments)
        super().start()

    def with_layer(self, arguments):
        at = next(i for i, a in enumerate(arguments) if a.startswith('file=') and 'id=store0' in a)
        words = [w.replace('\0', ',') for w in arguments[at].replace(',,', '\0').split(',')]
        file = {'driver': 'file', 'filename': words[0][len('file='):]}
        device = dict(self.layer(file), **{'node-name': 'store0'})
        return arguments[:at - 1] + ['-blockdev', json.dumps(device)] + arguments[at + 1:]


class RecordedMachine(LayeredMachine):
    def __init__(self, store, log, **more):
        self.writes = log
        open(log, 'w').close()

        def layer(file):
            return {'driver': 'blklogwrites', 'file': file, 'log': {'driver': 'file', 'filename': log},
                    'log-sector-size': 512, 'log-super-update-interval': 1}
        super().__init__(store, layer, **more)

    def entries(self):
        """How many the log has now."""
        with open(self.writes, 'rb') as f:
            f.seek(LOG_ENTRIES)
            return struct.unpack('<Q', f.read(8))[0]


class FaultyMachine(LayeredMachine):
    def __init__(self, store, rules, **more):
        def layer(file):
            debug = {'driver': 'blkdebug', 'image': file, 'node-name': 'faults'}
            return {'driver': 'raw', 'file': dict(debug, **rules)}
        super().__init__(store, layer, **more)
