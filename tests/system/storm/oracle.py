"""The oracle of test_storm.py. It reads what tills and a teller write to the nucleus's log, which nothing takes back,
and knows from it each change of each till in the history that still counts, whatever was killed or went back.

What always holds, for every kind of link:
  - a till goes on from a state that it had, not older than what was acknowledged as committed;
  - nobody goes on from an older generation than that, unless he was told to;
  - a till never hears an incarnation of the teller again once it has heard, or there has been, a later one
    (but for the one message that it was serving);
  - what the teller is told was added, was added by the till's incarnation of then, just before.
Of plain links: each transfer that is not in a till exactly once was lost or repeated by something that the teller was told
of: SEVERED, RELINKED or RESTARTED came between the last answer from before and the first one after it.
Of gated and bonded ones: each transfer is in the till exactly once, and the teller is told of nothing. And of gated ones, what
one side has heard of the other is never taken back: neither a change of which the teller knows, nor a call of which a till does.

The last lines before "run R from generation G" are not held against anybody: one may be what the district was about to say when
the checkpoint was made that it goes on from; and of bonded districts one is ended first, which the others may notice before it
is their turn.
"""
import collections
import re

LINE = re.compile(r'^([^\s\0]+)[\s\0]*: (till|teller): (.*)$')
STARTED = re.compile(r'run (\d+) from generation (\d+): (?:made (\d+), balance (-?\d+)|at transfer (\d+))$')
ADDED = re.compile(r'run (\d+) adds (-?\d+) for transfer (\d+) of run (\d+): made (\d+), balance (-?\d+)$')
TOLD = re.compile(r'run (\d+) (SEVERED|RELINKED|RESTARTED) at (\S+), connection (\d+)$')
ANSWER = re.compile(r'run (\d+) has added (-?\d+) for transfer (\d+) at (\S+), of run (\d+): balance (-?\d+)$')
RESTS = re.compile(r'run (\d+) rests at transfer (\d+)$')

LAST_WORDS = 2  # lines

Change = collections.namedtuple('Change', 'transfer amount balance asker at')
Answer = collections.namedtuple('Answer', 'till_run teller_run at')


def require(condition, what, *values):
    if not condition:
        raise AssertionError(what % values)


def amount_of(transfer, till):
    """What a transfer adds to till 0 or 1."""
    amount = 1 + transfer * 7 % 13
    return -amount if transfer % 2 == till else amount


class Till:
    def __init__(self):
        self.run = 0
        self.changes = []      # those that count, in their order
        self.gone = []         # those that a restart took back
        self.committed = []    # (generation, changes that it has at least)
        self.known = 0         # changes of which the teller has heard through a gated link
        self.heard = 0         # the latest incarnation that asked
        self.told = []         # where in the log the teller was told of it
        self.answer = None     # the last one that the teller had from it

    def balance(self):
        return self.changes[-1].balance if self.changes else 0

    def goes_on(self, run, made, balance, at):
        """A new incarnation, with that many changes."""
        require(made >= self.known, 'run %d has %d changes, the teller knows of %d', run, made, self.known)
        require(made <= len(self.changes), 'run %d has %d changes, there were %d', run, made, len(self.changes))
        require(balance == (self.changes[made - 1].balance if made else 0), 'run %d: balance %d after %d changes was %d',
                run, balance, made, self.changes[made - 1].balance if made else 0)
        self.gone += self.changes[made:]
        del self.changes[made:]
        self.run = run

    def adds(self, run, change, made):
        if run != self.run:  # it had been asked when the checkpoint was made
            require(run > self.run, 'run %d after run %d', run, self.run)
            before = made - 1
            self.goes_on(run, before, self.changes[before - 1].balance if before else 0, change.at)
        require(made == len(self.changes) + 1, 'change %d after %d', made, len(self.changes))
        require(change.balance == self.balance() + change.amount, 'balance %d after %d and %d', change.balance,
                self.balance(), change.amount)
        self.changes.append(change)


class Oracle:
    def __init__(self, tills, teller, kind):
        """@param tills names of the districts, kind: 'plain', 'gated' or 'bonded' links"""
        self.gated = kind == 'gated'
        self.reports = kind != 'gated'  # links may be cut, which the teller is told
        self.names = tills
        self.tills = {name: Till() for name in tills}
        self.teller = teller
        self.run = 0            # of the teller
        self.late = dict.fromkeys(tills, False)  # by till: one more message from an earlier incarnation of the teller may come
        self.starts = []        # where in the log incarnations of the teller began
        self.transfer = 0       # that the teller is at, as last known
        self.rests = None       # (run, transfer) if it does
        self.position = 0       # lines so far
        self.newest = {}        # by district: (generation acknowledged last, by which run)
        self.counts = collections.Counter()
        self.doubts = {name: [] for name in (*tills, teller)}  # what is wrong in the last lines, unless it says in time
        self.lines = dict.fromkeys(self.doubts, 0)             # .. that it was restarted

    # -- what the test knows ------------------------------------------------------------------------

    def bonded(self):
        """The districts are, and their links are live: none is cut any more."""
        self.reports = False

    def changes(self, name, run):
        """How many a till has at least, in that incarnation; None: it has not said anything yet."""
        till = self.tills.get(name)
        return len(till.changes) if till and till.run == run and not self.doubts[name] else None

    def asked_back(self, *names):
        """They may go on from any generation."""
        for name in names:
            self.newest.pop(name, None)

    def acknowledged(self, name, generation, run, made):
        """`checkpoint` has returned: that generation has at least that many changes."""
        self.newest[name] = (generation, run)
        if made is not None:
            self.tills[name].committed.append((generation, made))

    # -- what the log says --------------------------------------------------------------------------

    def read(self, line):
        self.position += 1
        found = LINE.match(line)
        if not found or found.group(1) not in (*self.names, self.teller):
            return
        district, program, text = found.groups()
        if STARTED.match(text):
            self.doubts[district] = []
        elif len(self.doubts[district]) and self.lines[district] >= self.doubts[district][0][0] + LAST_WORDS:
            self.settle(district)
        self.lines[district] += 1
        try:
            self.till_line(district, text) if program == 'till' else self.teller_line(text)
        except AssertionError as error:
            error = AssertionError('line %d, %r: %s' % (self.position, line, error))
            self.doubts[district].append((self.lines[district], error))

    def settle(self, *districts):
        """What was wrong in the last lines of a district was not said about a restart."""
        for district in districts:
            for _, error in self.doubts[district]:
                raise error

    def till_line(self, name, text):
        till = self.tills[name]
        if found := STARTED.match(text):
            run, generation, made, balance = (int(found.group(n)) for n in (1, 2, 3, 4))
            self.check_start(name, run, generation)
            if run != till.run:
                till.goes_on(run, made, balance, self.position)
            require(made == len(till.changes) and balance == till.balance(), 'run %d begins with %d', run, balance)
            # What it was serving when the checkpoint was made may be from any incarnation since its last change.
            till.heard, self.late[name] = till.changes[-1].asker if till.changes else 0, True
            till.committed = [(g, n) for g, n in till.committed if g <= generation]
            for of, least in till.committed:
                require(made >= least, 'generation %d has %d changes, but %d had %d', generation, made, of, least)
            self.counts['restarts'] += 1
        elif found := ADDED.match(text):
            run, amount, transfer, asker, made, balance = map(int, found.groups())
            require(amount == amount_of(transfer, self.names.index(name)), 'transfer %d adds %d', transfer, amount)
            now = run == till.run and not self.gated  # else it was asked before the checkpoint that it goes on from
            if now:
                self.check_asker(till, name, asker)
            till.adds(run, Change(transfer, amount, balance, asker, self.position), made)
            if now:
                self.late[name], till.heard = False, asker
            self.counts['changes'] += 1
        else:
            raise AssertionError('what is that?')

    def check_start(self, name, run, generation):
        newest, by = self.newest.get(name, (0, run))
        require(run == by or generation >= newest, 'starts from generation %d, after %d was acknowledged', generation, newest)

    def check_asker(self, till, name, asker):
        require(asker >= till.heard, 'asked by run %d of the teller after run %d', asker, till.heard)
        if asker < self.run:
            require(self.late[name], 'asked by run %d of the teller, it is at %d', asker, self.run)

    def teller_line(self, text):
        self.rests = None
        if found := STARTED.match(text):
            run, transfer = int(found.group(1)), int(found.group(5))
            self.check_start(self.teller, run, int(found.group(2)))
            require(run > self.run, 'run %d of the teller after run %d', run, self.run)
            called = max([change.transfer for till in self.tills.values() for change in till.changes[-1:]], default=0)
            require(not self.gated or transfer >= called, 'a till knows of transfer %d', called)
            self.run, self.transfer = run, transfer
            self.late = dict.fromkeys(self.names, True)
            self.starts.append(self.position)
            self.counts['restarts'] += 1
        elif found := TOLD.match(text):
            require(self.reports, 'no link is ever cut')
            self.tills[found.group(3)].told.append(self.position)
            self.counts[found.group(2)] += 1
        elif found := ANSWER.match(text):
            run, amount, transfer, name, asked, balance = (
                int(g) if g.lstrip('-').isdigit() else g for g in found.groups())
            self.check_answer(self.tills[name], run, asked, transfer, balance)
            self.transfer = transfer
        elif found := RESTS.match(text):
            self.transfer = int(found.group(2))
            self.rests = (int(found.group(1)), self.transfer)
        else:
            raise AssertionError('what is that?')

    def check_answer(self, till, run, asked, transfer, balance):
        if self.gated:
            heard = [n for n, change in enumerate(till.changes) if (change.transfer, change.balance) == (transfer, balance)]
            require(heard, 'the till has no such change')
            till.known = max(till.known, heard[0] + 1)
            return
        if asked != run:
            require(asked < run, 'an answer from the future')
            return  # it had it when the checkpoint was made, and had not said so
        last = till.changes[-1] if till.changes else None
        require(last and last.transfer == transfer and last.balance == balance and last.asker == run,
                'the last change of the till was %s', last)
        before = till.answer
        if before and (before.till_run != till.run or before.teller_run != run) and self.reports:
            require(till.told and till.told[-1] > before.at, 'run %d of the till has answered after run %d, '
                    'run %d of the teller after run %d, and nothing has told the teller', till.run, before.till_run, run,
                    before.teller_run)
        till.answer = Answer(till.run, run, self.position)

    # -- the sum --------------------------------------------------------------------------------------

    def told_between(self, till, first, last):
        """Something has told the teller that not all may be as it was."""
        return any(first < at < last for at in till.told) or any(first < at < last for at in self.starts)

    def check_rest(self):
        """The teller rests: what is wrong, and who was told? @return how much is too much"""
        _, now = self.rests
        self.settle(*self.names, self.teller)
        wrong = 0
        self.counts['wrong'] = 0
        for index, (name, till) in enumerate(self.tills.items()):
            times = collections.defaultdict(list)
            for change in till.changes:
                times[change.transfer].append(change.at)
            lost = {change.transfer: change.at for change in till.gone}
            for transfer in range(max([now, *(t + 1 for t in times)])):
                found, expected = times[transfer], int(transfer < now)
                if len(found) == expected:
                    continue
                what = 'transfer %d is %d times in %s, not %d' % (transfer, len(found), name, expected)
                require(self.reports, what)
                wrong += (len(found) - expected) * amount_of(transfer, index)
                self.counts['wrong'] += 1
                if len(found) < expected:
                    require(transfer in lost, what + ', and was never there')
                    require(self.told_between(till, lost[transfer], self.position), what + ', and nobody was told')
                for first, last in zip(found, found[1:] + ([self.position] if not expected else [])):
                    require(self.told_between(till, first, last), what + ', and nobody was told')
        total = sum(till.balance() for till in self.tills.values())
        require(total == wrong, 'the tills have %d together, by their transfers it should be %d', total, wrong)
        return total
