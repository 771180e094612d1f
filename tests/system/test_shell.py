#!/usr/bin/python3
"""The login and the shell of the commons: every command, its --help, and what is typed wrongly."""
import os
import re
import time

import harness
from machine import DETACH, PROMPT, SCRATCH, Machine, make_store

check = harness.Checks
COMMANDS = ['districts', 'restart', 'attach', 'checkpoint', 'kill', 'generations', 'rollback', 'drop',
            'retention', 'scrub', 'events', 'bond', 'unbond', 'links', 'log', 'interval', 'policy', 'share',
            'autostart', 'gated', 'disks', 'mkdistrict', 'poweroff', 'reboot', 'help', 'exit', 'logout']

store = make_store(os.path.join(SCRATCH, 'shell', 'a.district'), 'alpha')
other = make_store(os.path.join(SCRATCH, 'shell', 'b.district'), 'beta', size='64M')
machine = Machine([store, other], name='shell')


def recover():
    machine.start()
    machine.login()


def one_line(text):
    """An error must be one line that is not empty."""
    lines = [l for l in text.split('\n') if l.strip()]
    check.equal(len(lines), 1, 'lines of an error')
    return lines[0]


def test_login_refuses_strangers():
    machine.expect('login: ', 60)
    machine.send('root\r')
    machine.expect('Login incorrect')
    machine.expect('login: ')
    machine.send('\r')
    machine.expect('login: ')
    machine.send('gusx\x7f\x7fest\r')
    machine.expect(re.escape(PROMPT))


def test_help_names_every_command():
    text = machine.command('help')
    for command in COMMANDS:
        check.contains(text, command)
        check.contains(text, machine.command(command + ' --help').splitlines()[0].removeprefix('usage: '))


def test_each_command_has_help():
    for command in COMMANDS:
        text = machine.command(command + ' --help')
        check.contains(text, 'usage: ' + command)


def test_unknown_command():
    check.contains(one_line(machine.command('frobnicate')), 'help')


def test_empty_line_and_blanks():
    check.equal(machine.command('').strip(), '')
    check.equal(machine.command('   ').strip(), '')


def test_quote_not_closed():
    check.contains(one_line(machine.command("restart 'alpha")), 'quote')


def test_very_long_line():
    machine.send('x' * 3000 + '\r')
    machine.expect('unknown command')
    machine.expect(re.escape(PROMPT))


def test_control_characters_do_no_harm():
    machine.send('\x00\x01\x02\x06\x07\x1b[99~\x1bOP\x1b[1;5C\xff\x80\x15')
    machine.send('\r')
    machine.expect(re.escape(PROMPT))
    machine.read_for(0.3)
    check.contains(machine.command('help'), 'districts')


def test_line_editing():
    machine.send('istricts\x01d\x05x\x7f\r')  # Ctrl-A, Ctrl-E, backspace
    check.contains(machine.expect(re.escape(PROMPT) + '$'), 'NAME')


def test_history():
    machine.command('interval alpha')
    machine.send('\x1b[A\r')
    machine.expect('alpha: is checkpointed every')
    machine.expect(re.escape(PROMPT))


def test_ctrl_c_gives_a_new_line():
    machine.send('garbage\x03')
    machine.expect(re.escape(PROMPT))
    check.contains(machine.command('help'), 'districts')


def test_districts_lists_both():
    text = machine.command('districts')
    check.true(re.search(r'alpha +stopped +0 ', text), text)
    check.true(re.search(r'beta +stopped +0 ', text), text)
    check.contains(text, 'GENERATION')
    check.contains(text, '64')


def test_missing_and_surplus_arguments():
    for command in ('restart', 'attach', 'checkpoint', 'kill', 'interval'):
        check.contains(one_line(machine.command(command)), 'usage: ' + command)
        check.contains(one_line(machine.command(command + ' alpha b c')), 'usage: ' + command)


def test_unknown_district_lists_the_known():
    for command in ('restart', 'attach', 'checkpoint', 'kill', 'interval'):
        line = one_line(machine.command(command + ' nosuch'))
        check.contains(line, 'nosuch')
        check.contains(line, 'alpha')
        check.contains(line, 'beta')


def test_commands_for_a_district_that_does_not_run():
    for command in ('attach', 'checkpoint'):
        check.contains(one_line(machine.command(command + ' alpha')), 'restart alpha')
    check.contains(one_line(machine.command('kill alpha')), 'not running')


def test_interval():
    check.contains(machine.command('interval alpha'), '1.0 s')
    check.contains(machine.command('interval alpha 500ms'), '500 ms')
    check.contains(machine.command('interval alpha off'), 'only when asked')
    for wrong in ('soon', '-1', '5ms', '1y', '99999999999999999999s'):
        one_line(machine.command('interval alpha ' + wrong))
    check.contains(machine.command('interval alpha'), 'only when asked')
    check.contains(machine.command('interval alpha 1s'), '1.0 s')


def test_restart_and_detach():
    check.equal(machine.restart('alpha'), 0)
    status, text = machine.sh('echo in a district')
    check.equal((status, text), (0, 'in a district'))
    check.contains(machine.detach(), '')
    check.true(re.search(r'alpha +running', machine.command('districts')), 'alpha runs on after Ctrl-]')


def test_restart_of_a_running_district_names_attach():
    check.contains(one_line(machine.command('restart alpha')), 'attach alpha')


def test_checkpoint_reports():
    machine.attach('alpha')
    machine.sh('echo something > /tmp/something')
    machine.detach()
    text = machine.command('checkpoint alpha')
    check.true(re.search(r'generation \d+ committed: \d+ objects|nothing has changed', text), text)


def test_generations_are_made_unasked():
    machine.attach('alpha')
    machine.send('while :; do :; done &\n')
    machine.read_for(0.5)
    machine.detach()
    before = generation('alpha')
    time.sleep(3.5)
    after = generation('alpha')
    check.true(after >= before + 2, 'generations %d to %d in 3.5 s' % (before, after))
    machine.attach('alpha')
    machine.send('kill %1\n')
    check.equal(machine.sh('true')[0], 0)
    machine.detach()


def test_an_idle_district_makes_no_generation():
    machine.command('checkpoint alpha')
    time.sleep(2.5)
    before = generation('alpha')
    time.sleep(2.5)
    check.equal(generation('alpha'), before)


def generation(name):
    return int(re.search(r'%s +\w+ +(\d+) ' % name, machine.command('districts')).group(1))


def test_two_districts_at_once():
    check.equal(machine.restart('beta'), 0)
    machine.sh('echo of beta > /tmp/whose')
    machine.detach()
    machine.attach('alpha')
    status, _ = machine.sh('cat /tmp/whose')
    check.equal(status, 1, 'a file of beta in alpha')
    machine.detach()


def test_kill_goes_back_to_the_checkpoint():
    machine.command('interval alpha off')
    machine.attach('alpha')
    machine.sh('kept=yes; echo kept > /tmp/kept')
    machine.detach()
    kept = machine.checkpoint('alpha')
    machine.attach('alpha')
    machine.sh('lost=yes; echo lost > /tmp/lost')
    machine.detach()
    check.contains(machine.command('kill alpha'), 'generation %d' % kept)
    check.true(re.search(r'alpha +stopped', machine.command('districts')), 'alpha is stopped')
    check.true(re.search(r'beta +running', machine.command('districts')), 'beta is not concerned')
    check.equal(machine.restart('alpha'), kept)
    status, text = machine.sh('echo $kept $lost; cat /tmp/kept; cat /tmp/lost')
    check.equal(status, 1)
    check.contains(text, 'yes\nkept')
    check.true('lost=' not in text and 'yes yes' not in text, text)
    machine.detach()
    machine.command('interval alpha 1s')


def test_kill_and_restart_many_times():
    for n in range(10):
        machine.command('kill alpha')
        machine.restart('alpha')
        status, text = machine.sh('echo $kept %d' % n)
        check.equal(text, 'yes %d' % n)
        machine.detach()


def test_logout_leaves_districts_running():
    machine.send('exit\r')
    machine.expect('logout')
    machine.login()
    check.true(re.search(r'alpha +running', machine.command('districts')), 'alpha runs on after logout')


def test_ctrl_d_logs_out():
    machine.send('\x04')
    machine.login()


def test_reboot_checkpoints_and_comes_back():
    machine.attach('alpha')
    machine.sh('before_reboot=1')
    machine.detach()
    machine.send('reboot\r')
    machine.expect('alpha: generation')
    machine.expect('rebooting')
    machine.login()
    machine.restart('alpha')
    check.equal(machine.sh('echo $before_reboot'), (0, '1'))
    machine.detach()


def test_power_cut():
    machine.attach('alpha')
    machine.sh('before_cut=2')
    machine.detach()
    machine.checkpoint('alpha')
    machine.unplug()
    machine.start()
    machine.login()
    machine.restart('alpha')
    check.equal(machine.sh('echo $before_cut'), (0, '2'))
    machine.detach()


def test_poweroff_ends_the_emulator():
    machine.send('poweroff\r')
    machine.expect('alpha: ')
    machine.expect('powering off')
    machine.wait_off()
    machine.start()
    machine.login()
    machine.restart('alpha')
    check.equal(machine.sh('echo $before_cut'), (0, '2'))
    machine.send(DETACH)
    machine.unplug()


def test_poweroff_of_a_machine_that_has_no_such_thing():
    with Machine([store], name='shell', extra=['-machine', 'acpi=off']) as old:
        old.login()
        old.restart('alpha')
        check.equal(old.sh('echo $before_cut; after_poweroff=3'), (0, '2'))
        old.detach()
        check.contains(old.command('poweroff'), 'poweroff: this machine cannot do that by itself: use its switch')
        old.attach('alpha')
        check.equal(old.sh('echo $after_poweroff'), (0, '3'))
        old.start()
        old.login()
        old.restart('alpha')
        check.equal(old.sh('echo $after_poweroff'), (0, '3'))


if __name__ == '__main__':
    harness.main(globals(), machine.close, recover)
