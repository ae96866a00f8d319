#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""dns-server.py ADDRESS: every name has the IPv4 address 192.0.2.77, and no IPv6 address."""
import socket, sys

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 53))
while True:
    q, peer = s.recvfrom(512)
    end = q.index(b'\0', 12) + 5
    a = q[end - 4:end - 2] == b'\0\1'
    answer = b'\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4' + socket.inet_aton('192.0.2.77') if a else b''
    s.sendto(q[:2] + b'\x81\x80\0\1' + (b'\0\1' if a else b'\0\0') + b'\0\0\0\0' + q[12:end] + answer, peer)
