#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# sandbox.sh KERNEL root|named|user|bare: what the process of a running VM is left with, as /proc tells; the guest works all the same.
# root: started by root. named: with --user. user: by a user. bare: by a user on a host without user namespaces, Landlock and
# io_uring: the VM runs, and says what is missing; an image that a daemon would serve is refused.
. "$(dirname "$0")/lib.sh"
kernel=$1 case=$2 user=1234
as=() # in front of the command
[ "$case" = root ] || [ "$case" = named ] || as=(python3 -ISc "import os, sys
os.setgroups([]), os.setgid($user), os.setuid($user), os.execv(sys.argv[1], sys.argv[1:])")
[ "$case" != bare ] || {
	echo 0 >/proc/sys/kernel/unprivileged_userns_clone || skip "this kernel cannot forbid user namespaces"
	trap 'echo 1 >/proc/sys/kernel/unprivileged_userns_clone; kill $(jobs -p) 2>/dev/null; ip link del "$TAP"; rm -rf "$W"' EXIT
	as+=("$W/lack" io_uring,landlock)
}
[ ${#as[@]} = 0 ] || cp "$KVMBUS" "$W/bin-kvmbus"; cp "$KVMBUS_TOP/build/tests/lack" "$W/"
printf '#!/bin/bash\nexec %s "%s" "$@"\n' "${as[*]@Q}" "$([ ${#as[@]} = 0 ] && echo "$KVMBUS" || echo "$W/bin-kvmbus")" >"$W/kvmbus.sh"
chmod 755 "$W/kvmbus.sh"
disk d 16
tap user $user
python3 "$(dirname "$0")/echo-server.py" $NET_BITS.1 7000 &
# the lab's cache may be root's alone
mkdir -p "$W/kernels/$kernel" "$W/guest" && cp "$LAB_KERNELS/$kernel/vmlinux" "$W/kernels/$kernel/" && cp "$GUEST_BIN/$kernel.cpio" "$W/guest/" || fail "no copy"
LAB_KERNELS=$W/kernels GUEST_BIN=$W/guest
chmod 777 "$W"; chmod 666 /dev/kvm /dev/net/tun; mkdir -m 777 "$W/kvmbus"
[ ${#as[@]} = 0 ] || chown $user "$W/d"
options=()
[ "$case" != named ] || options=(--user nobody)
real=$KVMBUS KVMBUS=$W/kvmbus.sh
vm p "$kernel" "kvmb.job=probe kvmb.sum=$DISK_SUM kvmb.cpus=2 kvmb.wait=1 kvmb.peer=$NET_BITS.1 kvmb.addr=$NET_BITS.2" --cpus 2 --memory 512M \
	--disk "$W/d" --nic "tap=$TAP" "${options[@]}"
KVMBUS=$real
wait_log p 'GUEST: ok probe' 90

pid=$PID_p
# field NAME WANT: of every thread
field() {
	local t got
	for t in /proc/$pid/task/*; do
		got=$(awk -v f="$1:" '$1 == f { $1 = ""; print substr($0, 2) }' "$t/status" 2>/dev/null) || [ -e "$t" ] || continue # an idle disk's thread
		[[ $got =~ ^($2)$ ]] || fail "thread $(cat "$t/comm"): $1 is \"$got\", not $2"
	done
}
zero=0000000000000000
field NoNewPrivs 1
field Seccomp 2
field CapEff $zero; field CapPrm $zero; field CapInh $zero; field CapAmb $zero
case $case in
root) uid=$((0x70000000 + pid)) ;;
named) uid=$(id -u nobody) ;;
*) uid=$user ;;
esac
field Uid "$uid $uid $uid $uid"
[ "$case" != root ] || field Groups ''
grep -q '^Max core file size *0 *0 ' /proc/$pid/limits || fail "it may leave a core file"
[ "$(stat -c %u /proc/$pid/mem)" = 0 ] || fail "a process of its user could trace it"
info p "sandbox.mode == 'strict' and sandbox.uid == $uid" || fail "info says otherwise: $(info p sandbox)"
if [ "$case" = bare ]; then
	info p 'sandbox.lacks == ["namespaces", "empty root", "landlock"]' || fail "info: $(info p sandbox)"
	grep -q 'sandbox: this host lacks: namespaces, empty root, landlock' "$W/p.err.log" || fail "no line says what is missing"
	qemu-img create -q -f qcow2 "$W/q.qcow2" 16M && chown $user "$W/q.qcow2" || fail "no image"
	refused=$("${as[@]}" "$W/bin-kvmbus" disk p add "$W/q.qcow2" 2>&1) && fail "a daemon without a jail serves an image"
	[[ $refused == *"could open any file of its user"*"--sandbox log" ]] || fail "refused with: $refused"
	grep -q 'io_uring' "$W/p.err.log" || fail "no line says that io_uring is missing"
	QUIET=1
else
	info p 'sandbox.lacks == []' || fail "info: $(info p sandbox)"
	[ -z "$(ls -A /proc/$pid/root)" ] || fail "its root is not empty: $(ls /proc/$pid/root)"
	for ns in mnt net ipc uts; do
		[ "$(readlink /proc/$pid/ns/$ns)" != "$(readlink /proc/self/ns/$ns)" ] || fail "it shares our $ns namespace"
	done
fi
"${as[@]}" "$KVMBUS" stop p --timeout 36000 || fail "stop"
vm_end p 30 0
[ -z "$(ls "$W/kvmbus")" ] || fail "it left $(ls "$W/kvmbus")"
