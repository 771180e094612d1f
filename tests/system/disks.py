"""Machines whose disks are not plain files: what lies between the machine and a store is given as QEMU block
devices (-blockdev), so that writes are recorded or errors injected below the guest.

    RecordedMachine(stores, log)                every write and flush goes into the log, see tests/recorded
    FaultyMachine(stores, log, kind, numbers)   and some requests fail: those do not reach the log
"""
import json
import struct

from machine import Machine

LOG_ENTRIES = 16  # where in the log its number of entries is
EVENTS = {'read': 'read_aio', 'write': 'write_aio', 'flush': 'flush_to_disk'}  # of blkdebug, as raw raises them


class LayeredMachine(Machine):
    """A machine whose first store is seen through the block device `layer(file)`: a dict for -blockdev."""

    def __init__(self, stores, layer, **more):
        self.layer = layer
        self.layered = False
        super().__init__(stores, **more)

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
    def __init__(self, stores, log, **more):
        self.writes = log
        open(log, 'w').close()
        super().__init__(stores, self.recorded, **more)

    def recorded(self, file):
        return {'driver': 'blklogwrites', 'file': file, 'log': {'driver': 'file', 'filename': self.writes},
                'log-sector-size': 512, 'log-super-update-interval': 1}

    def entries(self):
        """How many the log has now."""
        with open(self.writes, 'rb') as f:
            f.seek(LOG_ENTRIES)
            return struct.unpack('<Q', f.read(8))[0]


def write_rules(f, kind, numbers, errno=5):
    """For blkdebug. It has one state, so that one kind of request at a time can be counted."""
    for n in range(1, max(numbers) + 1):
        f.write('[set-state]\nevent = "%s"\nstate = "%d"\nnew_state = "%d"\n' % (EVENTS[kind], n, n + 1))
    for n in numbers:
        f.write('[inject-error]\nevent = "%s"\nstate = "%d"\niotype = "%s"\nerrno = "%d"\nonce = "on"\n' %
                (EVENTS[kind], n, kind, errno))


class FaultyMachine(RecordedMachine):
    """The N-th requests of that kind ('read', 'write' or 'flush'), counted from 1, fail with EIO."""

    def __init__(self, stores, log, kind, numbers, **more):
        self.rules = log + '.rules'
        with open(self.rules, 'w') as f:
            write_rules(f, kind, numbers)
        super().__init__(stores, log, **more)

    def recorded(self, file):
        debug = {'driver': 'blkdebug', 'config': self.rules, 'image': super().recorded(file)}
        return {'driver': 'raw', 'file': debug}
