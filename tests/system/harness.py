"""Runs the test_* functions of a test file, in their order, one line of result for each.

    import harness
    def test_something(): ...
    if __name__ == '__main__':
        harness.main(globals())

Arguments: names of tests to run (all if none). The last line is "N passed, N failed".
"""
import sys
import time
import traceback


class Checks:
    """Expectations whose failure says what was there."""

    @staticmethod
    def equal(found, expected, what=''):
        if found != expected:
            raise AssertionError('%sexpected %r, found %r' % (what and what + ': ', expected, found))

    @staticmethod
    def contains(text, part, what=''):
        if part not in text:
            raise AssertionError('%sexpected %r in %r' % (what and what + ': ', part, text[-2000:]))

    @staticmethod
    def true(value, what):
        if not value:
            raise AssertionError(what)


def run(tests, recover=None):
    """Runs (name, function) pairs, `recover` after one that failed; returns how many passed and failed."""
    passed = failed = 0
    for name, test in tests:
        begin = time.monotonic()
        try:
            test()
        except Exception as error:
            failed += 1
            where = traceback.extract_tb(error.__traceback__)[1:2]
            line = ' (%s:%d)' % (where[0].filename.rsplit('/', 1)[-1], where[0].lineno) if where else ''
            print('FAILED %s%s: %s: %s' % (name, line, type(error).__name__, error), flush=True)
            if recover:
                recover()
        else:
            passed += 1
            print('ok     %s (%.1f s)' % (name, time.monotonic() - begin), flush=True)
    return passed, failed


def main(names, finish=None, recover=None):
    tests = [(n, t) for n, t in names.items() if n.startswith('test_') and callable(t)]
    wanted = [a for a in sys.argv[1:] if not a.startswith('-')]
    if wanted:
        tests = [(n, t) for n, t in tests if n in wanted or n.removeprefix('test_') in wanted]
    try:
        passed, failed = run(tests, recover)
    finally:
        if finish:
            finish()
    print('%d passed, %d failed' % (passed, failed))
    sys.exit(1 if failed or not passed else 0)
