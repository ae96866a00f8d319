#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""mutate.py make DIR | judge LOG: the mutation check of vmbus-core; the list is tests/kunit/mutants.

make: below DIR, a copy of the sources, one broken file a mutant and a Kbuild; prints the modules' names in order.
judge: a mutant lives, and the check fails, when every case of its file's suite still passes.
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SUITE = {"ring.c": "kvmb_ring", "pkt.c": "", "gparange.c": "kvmb_chanmsg", "chanmsg.c": "kvmb_chanmsg",
         "icmsg.c": "kvmb_icmsg", "rndis.c": "kvmb_rndis"}  # "": any
FILES = ["ring", "pkt", "gparange", "chanmsg", "icmsg", "rndis"]


def mutants():
    for line in open(f"{HERE}/mutants"):
        if line.strip() and not line.startswith("#"):
            yield [f.replace("\\n", "\n").replace("\\t", "\t") for f in line.rstrip("\n").split("\t")]


def make(top):
    out = ["# SPDX-License-Identifier: GPL-2.0-only", "ccflags-y += -I$(src) -Wall -Wno-unused"]
    for n, (function, file, old, new) in enumerate(mutants()):
        text = open(f"{top}/vmbus-core/{file}").read()
        if text.count(old) != 1 or not re.search(rf"\b{function}\(", text):
            sys.exit(f'mutants: {file} has "{old}" {text.count(old)} times, or no {function}()')
        stem = f"vmbus-core/m{n}_{file}"
        open(f"{top}/{stem}", "w").write(text.replace(old, new))
        objs = [f"vmbus-core/{f}.o" for f in FILES if f + ".c" != file] + [stem[:-1] + "o"]
        out += [f"obj-m += kvmb_m{n}.o", f"kvmb_m{n}-y := tests/kunit/core_kunit.o " + " ".join(objs)]
        print(f"kvmb_m{n}")
    open(f"{top}/Kbuild", "w").write("\n".join(out) + "\n")


def judge(log):
    log, killed, alive = open(log, errors="replace").read(), 0, 0
    results = {}
    for module, suite, text in re.findall(r"KUNIT: begin (\S+) (\S+)\n(.*?)KUNIT: end", log, re.S):
        # a case that said too much lost its own line: the last one counts
        bad = re.findall(r"^\s+not ok \d+ (?:- )?(\S+)", text, re.M) or ([] if f"\nok 1 {suite}\n" in text else ["a case"])
        results.setdefault(module, {})[suite] = bad
    for n, (function, file, old, new) in enumerate(mutants()):
        r = results.get(f"kvmb_m{n}", {})
        bad = [c for s, cases in r.items() if s == (SUITE[file] or s) for c in cases]
        if len(r) == 4 and bad:
            killed += 1
            print(f"ok - {function}: {bad[0]}" + (f" and {len(bad) - 1} more" if bad[1:] else ""))
        else:
            alive += 1
            print(f'not ok - {function}: lives with "{new}" for "{old}"' if len(r) == 4 else f"not ok - {function}: not run")
    print(f"mutants: {killed} found, {alive} not")
    return bool(alive or not killed or "KUNIT: done" not in log)


if sys.argv[1] == "make":
    make(sys.argv[2])
else:
    sys.exit(judge(sys.argv[2]))
