#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""terminal.py CASE KVMBUS VM: `kvmbus console VM` on a terminal of its own. Says what is wrong with its end, if anything.

CASE: leave (Ctrl-] behind a long paste that the VM does not take); term (SIGTERM); pipe (its output goes to head).
"""
import os, pty, select, signal, sys, termios, time

case, kvmbus, vm = sys.argv[1:]
signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and children would
pid, fd = pty.fork()
if pid == 0:
    if case == 'pipe':
        os.execvp('sh', ['sh', '-c', '"$0" console "$1" | head -1; echo DONE; sleep 60', kvmbus, vm])
    os.execv(kvmbus, [kvmbus, 'console', vm])
os.set_blocking(fd, False)
left = b''  # to be typed
shown = b''


def until(what, seconds=20):
    """The terminal's other end meanwhile: shows, types. Return: did it come true?"""
    global left, shown
    end = time.time() + seconds
    while not what():
        if time.time() > end:
            return False
        try:
            r, w, _ = select.select([fd], [fd] if left else [], [], 0.05)
            if r:
                shown = (shown + os.read(fd, 4096))[-4096:]
            if w:
                left = left[os.write(fd, left[:1000]):]
        except BlockingIOError:
            pass
        except OSError:  # nobody has it open any more
            time.sleep(0.05)
    return True


def raw():
    return not termios.tcgetattr(fd)[3] & termios.ICANON


def ended():
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


if case != 'pipe' and not until(raw):
    sys.exit('it does not begin')
if case == 'leave':
    left = b'y' * 400000 + b'\x1d'
elif case == 'term':
    os.kill(pid, signal.SIGTERM)
ok = until(lambda: b'DONE' in shown) if case == 'pipe' else until(ended)
was_raw = raw()
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
if not ok:
    sys.exit('it does not end')
if left:
    sys.exit('it ends though nobody typed Ctrl-]')
if was_raw:
    sys.exit('the terminal stays raw')
