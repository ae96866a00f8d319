#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""netconsole-sink.py ADDRESS PORT CPUS LINES: takes datagrams with "kvmb-line CPU NUMBER" until each CPU's lines 1 to
LINES have come, in any order; says so and ends with 0. When told to end (SIGTERM) before, says what is missing, and 1."""
import re, signal, socket, sys

cpus, lines = int(sys.argv[3]), int(sys.argv[4])
got = [set() for _ in range(cpus)]
came = 0

def report(*_):
    missing = [sorted(set(range(1, lines + 1)) - g) for g in got]
    print("%d of %d lines of %d CPUs, in %d datagrams" % (sum(map(len, got)), cpus * lines, cpus, came), end="")
    print("".join("; CPU %d: no %s" % (c, m[:8]) for c, m in enumerate(missing) if m), flush=True)
    sys.exit(any(missing))

signal.signal(signal.SIGTERM, report)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE: what is lost was not lost here
s.bind((sys.argv[1], int(sys.argv[2])))
while sum(map(len, got)) < cpus * lines:
    data = s.recv(65536)
    came += 1
    for cpu, num in re.findall(rb"kvmb-line (\d+) (\d+)\n", data):
        if int(cpu) < cpus and 1 <= int(num) <= lines:
            got[int(cpu)].add(int(num))
report()
