#!/usr/bin/python3
"""What `mkdistrict put` changes while a district is stopped, seen from inside after its restart."""
import os
import subprocess

import harness
from machine import MKDISTRICT, SCRATCH, Machine, make_store, verify_store

check = harness.Checks
store = os.path.join(SCRATCH, 'put.district')
source = os.path.join(SCRATCH, 'put-source')


def put(path):
    subprocess.run([MKDISTRICT, 'put', store, source, path], check=True, stdout=subprocess.DEVNULL)


def test_put_is_seen_after_a_restart():
    """A name that was looked up in vain is found; a file replaced stays for those who have it open, and goes then."""
    make_store(store, 'put', size='64M', interval='never')
    with open(source, 'w') as f:
        f.write('from outside\n')
    with Machine([store], name='put') as machine:
        machine.login()
        machine.restart('put')
        machine.prompt()
        status, text = machine.sh('cat /etc/new; exec 5</etc/hosts; x=kept')
        check.contains(text, "can't open")
        machine.prompt()
        machine.detach()
        machine.checkpoint('put')
        machine.unplug()
        put('/etc/new')
        put('/etc/hosts')
        machine.start()
        machine.login()
        check.equal(machine.restart('put'), 3)
        machine.send('\n')
        machine.prompt()
        check.equal(machine.sh('cat /etc/new /etc/hosts'), (0, 'from outside\nfrom outside'))
        check.equal(machine.sh('echo more >/etc/added; cat <&5; echo $x'), (0, '127.0.0.1 localhost\nkept'))
        check.equal(machine.sh('exec 5<&-; rm /etc/new; cat /etc/added'), (0, 'more'))
        machine.detach()
        machine.checkpoint('put')
        machine.unplug()
    verify_store(store)


if __name__ == '__main__':
    harness.main(globals())
