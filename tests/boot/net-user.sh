#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# net-user.sh KERNEL: an unprivileged user's VM on passt: DHCP, DNS, TCP both ways, a forwarded port; then passt is killed.
. "$(dirname "$0")/lib.sh"
command -v passt >/dev/null || skip "passt is not installed"
uplink
here=$(dirname "$0")
grep -q '^nameserver 127.0.0.1' /etc/resolv.conf || { cp --remove-destination /etc/resolv.conf "$W/resolv" 2>/dev/null; [ -n "${LAB_IN_L1:-}" ] &&
	rm -f /etc/resolv.conf && echo 'nameserver 127.0.0.1' >/etc/resolv.conf; }
python3 "$here/echo-server.py" 127.0.0.1 7000 &
[ -n "${LAB_IN_L1:-}" ] && { python3 "$here/dns-server.py" 127.0.0.1 & }
NOBODY=
if [ "$(id -u)" = 0 ]; then # as somebody who may use KVM and nothing else
	chmod 666 /dev/kvm; chmod 777 "$W"
	NOBODY="setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all --no-new-privs"
	cp "$KVMBUS" "$W/kvmbus.bin" # where it is may not be for everybody
	printf '#!/bin/bash\nexec %s %q "$@"\n' "$NOBODY" "$W/kvmbus.bin" >"$W/kvmbus-nobody"; chmod 755 "$W/kvmbus-nobody"
	KVMBUS=$W/kvmbus-nobody
	mkdir -p "$W/$1"; cp "$LAB_KERNELS/$1/vmlinux" "$W/$1/"; cp "$GUEST_BIN/$1.cpio" "$W/"; chmod -R a+rX "$W/$1" "$W/$1.cpio"
	LAB_KERNELS=$W GUEST_BIN=$W
fi
vm u "$1" "kvmb.job=netuser ${LAB_IN_L1:+kvmb.dns=1}" --cpus 1 --memory 256M --nic user,forward=2222:22
wait_log u "GUEST: listening" 120
page=$(python3 -c 'import urllib.request as u; print(u.urlopen("http://127.0.0.1:2222/hello", timeout=600).read().decode())') || fail "the forwarded port leads nowhere"
[ "$page" = "hello from the guest" ] || fail "the forwarded port gave: $page"
refused() { # WORDS NIC: it is not added, and that is why
	if "$KVMBUS" nic u add "$2" >"$W/out" 2>&1; then fail "added: $2"; fi
	grep -qF "$1" "$W/out" || fail "nic add $2: $(cat "$W/out")"
}
refused "TCP port 2222 of this host is in use" user,forward=2222:23
[ -z "$NOBODY" ] || refused "TCP port 80 of this host: Permission denied; use 1024 or higher" user,forward=80:80
"$KVMBUS" nic u add user >"$W/out" 2>&1 || fail "nic add: $(cat "$W/out")"
# what a guest asks of a channel that is gone already is worth a line of kvmbus's: let its driver come up
until_true 60 "the guest does not use net1" nics u 'it[1].guest_mtu > 0'
"$KVMBUS" nic u remove net1 >"$W/out" 2>&1 || fail "nic remove: $(cat "$W/out")"
QUIET=1
before=$(grep -m1 'GUEST: address' "$W/u.log")
kill -9 $(helper_pid u passt) || fail "no passt"
until_true 30 "passt was not restarted" nics u 'it[0].restarts == 1 and it[0].link == "up"'
wait_log u "GUEST: ok net" 120
[ "$(grep -c "$before" "$W/u.log")" = 2 ] || fail "the lease changed: $(grep 'GUEST: address' "$W/u.log")"
vm_end u 30 0
[ "$(grep -vc -e 'network is gone' -e 'network is back' "$W/u.err.log")" = 0 ] || fail "kvmbus complained of something else"
if [ -n "$NOBODY" ]; then echo "# user $(stat -c %u "$W/u.log"): address, DNS, TCP, a forwarded port, and again after passt was killed"; fi
