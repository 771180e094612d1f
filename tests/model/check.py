#!/usr/bin/python3
"""Model-checks the protocols of this folder with Spin: the whole model must hold in every state, and each of its broken
variants must fail. The last line is "N passed, N failed"."""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, '..', '..', 'build', 'tests', 'model')


def search(model, variant):
    """@return (errors, states, what failed)"""
    folder = os.path.join(FOLDER, '%s-%d' % (model, variant))
    os.makedirs(folder, exist_ok=True)
    spin = subprocess.run(['spin', '-a', '-DBROKEN=%d' % variant, os.path.join(HERE, model)], cwd=folder,
                          capture_output=True, text=True)
    if spin.returncode:
        return 1, 0, spin.stdout + spin.stderr
    subprocess.run(['gcc', '-O2', '-w', '-DSAFETY', '-DVECTORSZ=512', '-o', 'pan', 'pan.c'], cwd=folder, check=True)
    text = subprocess.run(['./pan', '-m100000', '-w22'], cwd=folder, capture_output=True, text=True).stdout
    errors = int(re.search(r'errors: (\d+)', text).group(1))
    states = int(re.search(r'(\d+) states, stored', text).group(1))
    if 'max search depth too small' in text:
        errors += 1
    failed = re.search(r'pan:1: ([^\n]*)', text)
    return errors, states, failed.group(1) if failed else ''


def main():
    passed = failed = 0
    for model in sorted(f for f in os.listdir(HERE) if f.endswith('.pml')):
        with open(os.path.join(HERE, model)) as f:
            variants = max(map(int, re.findall(r'BROKEN == (\d+)', f.read())), default=0)
        for variant in range(variants + 1):
            errors, states, what = search(model, variant)
            good = (errors > 0) == (variant > 0) and not (variant and 'assertion' not in what)
            passed, failed = passed + good, failed + (not good)
            print('%s %s %s: %d states%s' % ('ok    ' if good else 'FAILED', model,
                                             'broken in way %d' % variant if variant else 'whole', states,
                                             ', caught: ' + what if variant and what else what and ', ' + what))
    print('%d passed, %d failed' % (passed, failed))
    sys.exit(failed > 0)


if __name__ == '__main__':
    main()
