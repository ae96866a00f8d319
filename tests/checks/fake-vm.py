#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A VM's control socket without a VM: fake-vm.py MODE SOCKET [DISK...]. Prints "up", then what it is asked.

MODE: ok; boots (its shutdown service comes $BOOTS seconds after the first question); slow (changes take 3 s); silent (accepts, never answers);
endless (an answer without end); drip (a byte now and then); evil (control characters everywhere);
console (says a line now and then, and takes none);
ends (is gone when it is asked to be killed); leaves (then its socket is gone, and it some seconds later);
last (its answer is the last that it does, 1.5 s later, when its socket has gone).
"""
import fcntl, json, os, socket, sys, threading, time

mode, path, disks = sys.argv[1], sys.argv[2], sys.argv[3:]
boots, ready_at = float(os.environ.get('BOOTS', 2)), None
sizes = {}
lock = threading.Lock()


def say(text):
    with lock:
        print(text, flush=True)


def disk_list():
    return [{'controller': i // 64, 'lun': i % 64, 'type': 'disk', 'path': d, 'size': sizes.get(i, 16 << 20), 'format': 'raw',
             'serial': f'SER{i}', 'cache': 'writeback', 'health': 'ok', 'read_only': False} for i, d in enumerate(disks)]


def info():
    evil = '\x1b[31m\n\x9b31m' if mode == 'evil' else ''
    global ready_at
    ready_at = ready_at or time.time() + boots
    ready = mode != 'boots' or time.time() >= ready_at
    return {'name': os.path.basename(path)[:-5] + evil, 'state': 'running', 'pid': os.getpid(), 'cpus': 1, 'memory': 1 << 30,
            'vmbus': {'state': 'connected', 'version': '5.3' + evil}, 'disks': disk_list(), evil: 1,
            'nics': [{'index': 0, 'mac': '00:15:5d:00:00:01', 'kind': 'tap', 'interface': evil, 'link': 'up', 'model': 'auto', 'via': 'vmbus'},
                     {'index': 1, 'mac': '00:15:5d:00:00:02', 'kind': 'none', 'interface': '', 'link': 'up', 'model': 'auto', 'via': 'legacy'}],
            'dynamic_memory': dynamic if mode == 'dynamic' else None,
            'screen': {'viewers': 2, 'source': 'vga' + evil, 'keyboard': 'ps2' + evil, 'pointer': None},
            'integration': {'kvp': {'enabled': True, 'state': 'ready' + evil, 'os': evil or None, 'fqdn': evil,
                                    'addresses': [a + evil for a in os.environ.get('ADDRESSES', '192.0.2.1').split()]},
                            'shutdown' + evil: {'enabled': True, 'state': 'ready'},
                            'shutdown': {'enabled': True, 'state': 'ready' if ready else 'no guest driver'}}}


def services():
    evil = '\x1b[31m\n\x9b31m' if mode == 'evil' else ''
    return {'heartbeat': {'enabled': True, 'state': 'ready', 'version': '3.0', 'last_contact_ms': 1500,
                          'status': os.environ.get('HEARTBEAT', 'ok') + evil},
            'timesync' + evil: {'enabled': True, 'state': 'ready', 'version': '4.0', 'last_contact_ms': None, 'last_sync_ms': 61000,
                                'answer_ms': 2, 'guest_offset_ms': None}}


dynamic = {'state': 'ready', 'version': '2.0', 'startup': 2 << 30, 'min': 512 << 20, 'max': 8 << 30, 'target': 2 << 30, 'assigned': 2 << 30,
           'ballooned': 0, 'added': 0, 'demand': 800 << 20, 'pressure': 39, 'available': 900 << 20, 'committed': 800 << 20, 'resident': 1 << 30}


def memory(args):  # a guest that needs some time
    dynamic['target'] = args.get('size', dynamic['target'])
    way = dynamic['target'] - dynamic['assigned']
    dynamic['assigned'] += max(min(way, 300 << 20), -300 << 20)
    return dynamic


def answer(what, args):
    if mode == 'evil' and what not in ('info', 'ic-list'):
        return {'error': {'class': 'state', 'desc': 'no\x1b[2J\nkvmbus: all is well'}}
    if mode == 'slow' and what not in ('info', 'disk-list'):
        time.sleep(3)
    if what == 'disk-list':
        return {'return': disk_list()}
    if what == 'ic-list':
        return {'return': services()}
    if what == 'kvp-list':
        return {'return': {'items': [{'pool': 'auto', 'key': 'OSName', 'value': 'Debian', 'owed': False},
                                     {'pool': 'external', 'key': 'k', 'value': 'v', 'owed': True}]}}
    if mode == 'dynamic' and what.startswith('memory'):
        return {'return': memory(args)}
    if what.startswith('disk-'):
        c, lun = map(int, args['disk'].split(':')) if 'disk' in args and ':' in args['disk'] else (0, 0)
        if what == 'disk-resize' and args['size']:
            sizes[lun] = args['size']
        return {'return': {'disk': f'{c}:{lun}', 'controller': c, 'lun': lun, 'size': sizes.get(lun, 16 << 20)}}
    if what == 'stop' and info()['integration']['shutdown']['state'] != 'ready':
        return {'error': {'class': 'failed', 'desc': 'the guest has no shutdown service; try: kvmbus kill'}}
    return {'return': info() if what == 'info' else {'state': 'ended'} if what == 'kill' else {}}


def commands(c):
    """Each line, with what came with it."""
    text, files = b'', []
    while True:
        data, fds, _, _ = socket.recv_fds(c, 65536, 64)
        for fd in fds:
            mode = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
            files += [os.readlink(f'/proc/self/fd/{fd}'), 'r' if mode == os.O_RDONLY else 'rw']
            os.close(fd)
        if not data:
            return
        text += data
        while b'\n' in text:
            line, text = text.split(b'\n', 1)
            yield line.decode(), files
            files = []


def serve(c):
    f = c.makefile('w')
    for line, files in commands(c):
        q = json.loads(line)
        if q['execute'] not in ('info', 'disk-list'):
            say(line.strip())
        if files:
            say(' '.join(['descriptors', *files]))
        if mode == 'ends' and q['execute'] == 'kill':
            os.unlink(path)
            os._exit(0)
        if mode == 'leaves' and q['execute'] == 'kill':
            os.unlink(path)
            time.sleep(4)
            os._exit(0)
        if mode == 'last' and q['execute'] != 'info':
            os.unlink(path)
            time.sleep(1.5)
        if mode == 'silent':
            time.sleep(3600)
        try:
            while mode == 'endless':
                c.sendall(b'x' * 65536)
            while mode == 'drip':
                c.sendall(b'x')
                time.sleep(.2)
            f.write(json.dumps(answer(q['execute'], q.get('arguments', {}))) + '\n')
            f.flush()
            while q['execute'] == 'console' and mode == 'console':
                c.sendall(b'a line\n')
                time.sleep(.05)
        except OSError:
            return


s = socket.socket(socket.AF_UNIX)
s.bind(path)
s.listen(2)
say('up')
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
