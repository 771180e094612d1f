#!/usr/bin/python3
"""The screen and the keyboard: text is compared with what is seen on pictures of the screen, and typed with keys."""
import os
import re
import time

import harness
from machine import PROMPT, SCRATCH, SLOW, Machine, make_store, with_mutant
from screen import COLUMNS, ROWS, Screen

check = harness.Checks
FOLDER = os.path.join(SCRATCH, 'screen')
MONITOR = os.path.join(FOLDER, 'monitor')
RESTARTS = 3  # of one program within a minute; then it is given up
AT_PROMPT = re.escape(PROMPT.rstrip()) + r'\s*\Z'

store = make_store(os.path.join(FOLDER, 'a.district'), size='64M')
machine = Machine([store], name='screen', extra=Screen.arguments(MONITOR))
screen = Screen(MONITOR)


def recover():
    screen.close()
    machine.start()
    machine.login()
    log_in()


def log_in():
    screen.expect(r'^login:\s*\Z', 60)
    screen.type('guest\r')
    screen.expect(AT_PROMPT)


def run(line):
    """Runs a command of the shell at the screen that leaves less than a screenful; returns the lines it printed."""
    screen.press('ctrl-l')
    screen.expect(r'\A' + AT_PROMPT)
    screen.type(line + '\r')
    lines = screen.expect(r'\A' + re.escape(PROMPT + line) + r'$(?:.*\n)*' + AT_PROMPT).lines
    return [l for l in lines[1:] if l][:-1]


def folded(text):
    """Text as a terminal shows it, without empty lines."""
    return [l[i:i + COLUMNS].rstrip() for l in text.split('\n') if l.strip() for i in range(0, len(l), COLUMNS)]


def said(of):
    """The nucleus's log of a machine."""
    with open(of.log_path.replace('.log', '.nucleus'), errors='replace') as log:
        return log.read()


def wait_for(is_so, what, timeout=30):
    end = time.monotonic() + timeout * SLOW
    while not is_so():
        check.true(time.monotonic() < end, what)
        time.sleep(0.02)


def test_login():
    picture = screen.expect('login:', 60)
    check.contains(picture.text, 'Bailiwick, an operating system')
    screen.type('Nobody\r')
    screen.expect('Login incorrect')
    log_in()


def test_what_is_printed_is_seen():
    machine.login()
    for command in 'help restart', 'help generations', 'districts --help':
        check.equal(run(command), folded(machine.command(command)))


def test_all_characters_can_be_typed():
    characters = ''.join(chr(c) for c in range(0x21, 0x7f) if chr(c) not in '\'"\\')
    for line in characters[:45], characters[45:]:
        check.contains(run(line)[0], 'unknown command' if len(line) < 60 else line)


def test_keys_that_edit_a_line():
    screen.press('caps_lock')
    screen.type('xHELP')
    screen.press('home', 'delete', 'end')
    screen.type('QRSt')
    screen.press('left', 'backspace', 'backspace', 'backspace', 'ctrl-e', 'backspace', 'caps_lock')
    screen.type(' Exit')
    screen.press('home')
    screen.type('#')
    screen.expect(re.escape(PROMPT) + r'#help Exit$')
    screen.press('ctrl-c', 'up')
    screen.expect(re.escape(PROMPT) + r'\S+\}~$')
    screen.press('ctrl-u')
    screen.expect(AT_PROMPT)


def test_the_number_pad():
    screen.press('num_lock', 'kp_1', 'kp_subtract', 'kp_2', 'kp_add', 'num_lock', 'kp_4', 'kp_3', 'kp_divide')
    screen.expect(re.escape(PROMPT) + r'1-2/\+?$')
    screen.press('ctrl-c')


def test_lines_that_have_left_are_seen_again():
    text = folded(machine.command('help'))
    expected = text + [PROMPT + 'help'] + text + [PROMPT.rstrip()]
    screen.type('help\r')
    screen.expect(AT_PROMPT)
    screen.type('help\r')
    screen.expect_lines(expected[-ROWS:])
    screen.press('shift-pgup', 'shift-pgup')
    half = ROWS // 2
    screen.expect_lines(expected[-2 * half - ROWS:-2 * half])
    screen.press('shift-pgdn')
    screen.expect_lines(expected[-half - ROWS:-half])
    screen.press('shift-pgup', 'x')  # what is typed brings the end back
    screen.expect(re.escape(PROMPT) + r'x\Z')
    screen.press('ctrl-c')


def test_another_login():
    before = run('help exit')
    screen.press('alt-f2')
    log_in()
    check.contains('\n'.join(run('districts')), 'stopped')
    screen.press('alt-f1')
    screen.expect(re.escape(before[0]))
    screen.press('alt-left')
    screen.expect('login:')
    screen.press('alt-left', 'alt-left')
    screen.expect('stopped')
    screen.press('ctrl-alt-f4')
    screen.expect('login:')
    screen.press('alt-f1')


def test_a_district_at_the_screen():
    screen.type('restart my-district\r')
    screen.expect(r'^\[attached to my-district')
    screen.type('for i in 1 2 3; do echo $((i*7)) $COLUMNS; done; tty\n')
    picture = screen.expect(r'/dev/')
    check.contains(picture.text, '\n7\n14\n21\n')


def test_a_district_is_at_one_terminal_at_a_time():
    machine.attach('my-district')
    screen.expect(r'^\[detached from my-district; it runs on, attached at another terminal\]')
    check.equal(machine.sh('echo at the line')[1], 'at the line')
    screen.type('attach my-district\r')
    machine.expect('attached at another terminal')
    screen.type('stty size\r')
    screen.expect('^25 80$')
    check.contains(machine.command('districts'), 'running')


def leave_insertion():
    """Escape; what follows at once would be taken for the rest of a key's sequence."""
    screen.press('esc')
    screen.expect(r'^- /tmp/verse')


def test_an_editor():
    machine.attach('my-district')
    screen.type('attach my-district\r')
    screen.expect('attached to my-district')
    screen.type('TERM=linux vi /tmp/verse\n')
    screen.expect(r'/tmp/verse.*1/1')
    screen.type('iroses are red\nviolets are blu')
    leave_insertion()
    screen.type('ae')
    leave_insertion()
    screen.press('up', 'home')
    screen.type('xiR')
    leave_insertion()
    screen.type(':wq\n')
    screen.expect(r'^/ #\Z')
    screen.type('cat /tmp/verse\n')
    screen.expect(r'/verse\nRoses are red\nviolets are blue\n/ #\Z')


def test_colours_and_lines():
    screen.type("clear; printf '\\033[31mred\\033[0m \\033[7mpaper\\033[0m \\342\\224\\214\\303\\244\\033(0q\\033(B\\n'\n")
    picture = screen.expect('^red paper ┌ä─$')
    row = next(n for n, line in enumerate(picture.lines) if line.startswith('red paper'))
    red, paper = picture.cells[row][0], picture.cells[row][4]
    check.true(red.ink[0] > 100 and red.ink[1:] == (0, 0) and red.paper == (0, 0, 0), 'red: %s' % (red.ink,))
    check.true(paper.ink == (0, 0, 0) and min(paper.paper) > 100, 'reverse: %s' % (paper.paper,))


def test_the_line_and_the_screen_at_once():
    screen.type('i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo counted $i; done\n')
    for _ in range(5):
        check.contains(machine.command('districts'), 'running')
    screen.expect('^counted 3000$')


def test_the_second_clock():
    """It agrees, whatever else the host does."""
    wait_for(lambda: re.search(r'^clock: .* by the HPET', said(machine), re.MULTILINE), 'the HPET is looked at')
    check.contains(said(machine), 'are right, by the HPET')


class LinelessMachine(Machine):
    """A PC that has no serial port."""

    def start(self):
        self.arguments = ['none' if a == 'chardev:console' else a for a in self.arguments]
        super().start()


def test_power_cut():
    screen.type('remembered=yes\n')
    screen.expect(r'remembered=yes\n/ #\Z')
    machine.checkpoint('my-district')
    machine.unplug()
    screen.close()
    machine.start()
    log_in()
    screen.type('restart my-district\r')
    screen.expect(r'remembered=yes\n/ #\Z')
    screen.type('echo remembered: $remembered\n')
    screen.expect('^remembered: yes$')


def test_what_fails_is_started_again():
    """Mutants of each part, which end at some key."""
    machine.unplug()
    screen.close()
    for program, key, lost in (('vga', 'shift-grave_accent', ''), ('ps2', 'f12', ''), ('screens', 'shift-pgup', ''),
                               ('console', 'ctrl-backslash', '')):
        with Machine([store], name='screen', extra=Screen.arguments(MONITOR),
                     boot=with_mutant(FOLDER, program)) as broken:
            log_in()
            screen.press('a', key)
            screen.type('b')
            screen.press('ctrl-c')
            broken.login()
            check.contains(run('districts')[1], 'my-district')
            broken.command('districts')
            check.contains(said(broken), 'supervisor: %s is started again' % program)
        screen.close()


def test_a_screen_that_is_given_up():
    """Who has the line does not notice."""
    machine.unplug()
    screen.close()
    with Machine([store], name='screen', extra=Screen.arguments(MONITOR),
                 boot=with_mutant(FOLDER, 'vga')) as broken:
        log_in()
        for failures in range(1, RESTARTS + 2):  # the next only when it runs again, or two would be drawn as one
            screen.type('~')
            wait_for(lambda: said(broken).count('vga.c:') == failures and
                     said(broken).count('vga is started again') == min(failures, RESTARTS), 'failure %d' % failures)
        broken.login()
        check.contains(broken.command('districts'), 'my-district')
        check.contains(said(broken), 'within a minute: given up')
    screen.close()


def test_without_a_serial_line():
    machine.unplug()
    screen.close()
    with LinelessMachine([store], name='screen', extra=Screen.arguments(MONITOR)) as lineless:
        log_in()
        check.contains(run('districts')[1], 'my-district')
        check.contains(said(lineless), 'serial: this machine has no serial line')
    screen.close()


if __name__ == '__main__':
    harness.main(globals(), machine.close, recover)
