#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Bad input to the command: one line that names object, cause and remedy, the right exit status,
# nothing touched. Needs no usable KVM: what does is tested on a machine that has none, too.
cd "$(dirname "$0")/../.." || exit 1
K=${K:-build/kvmbus} W=$(mktemp -d) bad=0 n=0
trap 'rm -rf "$W"' EXIT
export XDG_RUNTIME_DIR=$W
# expect STATUS PATTERN command...: exactly one line on stderr
expect() {
	local want=$1 pattern=$2 rc out; shift 2
	out=$("$@" 2>&1 >/dev/null </dev/null); rc=$?
	n=$((n + 1))
	if [ $rc != "$want" ] || [ "$(wc -l <<<"$out")" != 1 ] || ! grep -qE -- "$pattern" <<<"$out"; then
		echo "not ok cli: $*: status $rc (want $want), said: $out"; bad=1
	fi
}
printf 'not a kernel at all' >"$W/junk"; : >"$W/empty"; head -c 100000 /dev/zero >"$W/zero"
expect 2 'initrd goes with --kernel' $K run --initrd x
expect 2 'firmware does not go with --kernel' $K run --firmware bios --kernel x
expect 2 'boot is for firmware' $K run --boot disk --kernel x
expect 2 '"floppy": say disk, cdrom, net and menu' $K run --boot cdrom,floppy
expect 2 'must be 1 to 64' $K run --cpus 0 --kernel x
expect 2 'must be 1 to 64' $K run --cpus 65 --kernel x
expect 2 'must be 1 to 64' $K run --cpus 2x --kernel x
expect 2 'not a size' $K run --memory lots --kernel x
expect 2 'must be 16M to 8T' $K run --memory 1M --kernel x
expect 2 'not a size' $K run --memory 5Q --kernel x
expect 2 'must be 0.13, .* or 5.3' $K run --vmbus-max 9.9 --kernel x
expect 2 'unknown CPU model' $K run --cpu pentium --kernel x
expect 2 'bad CPU feature' $K run --cpu host,-warp --kernel x
expect 2 'bad option "lunn=1"; did you mean lun=N?' $K run --disk x,lunn=1 --kernel x
expect 2 'bad option "lun=64": must be 0 to 63' $K run --disk x,lun=64 --kernel x
expect 2 'unknown kind' $K run --nic carrier-pigeon --kernel x
expect 2 'bad option "vlan=5000": must be 1 to 4094' $K run --nic none,vlan=5000 --kernel x
expect 2 'bad option "forward=22"' $K run --nic user,forward=22 --kernel x
expect 2 'bad option "forward=2222:22"' $K run --nic none,forward=2222:22 --kernel x
expect 2 'bad option "mtu=9001"' $K run --nic user,mtu=9001 --kernel x
[ "$(id -u)" != 0 ] || expect 2 'user goes with a sandbox' $K run --user nobody --sandbox off --kernel x
[ "$(id -u)" != 0 ] || expect 2 'no user "nosuch"' $K run --user nosuch --kernel x
[ "$(id -u)" != 0 ] || expect 2 'cannot run as root' $K run --user root --kernel x
expect 2 'which VM' $K nic
expect 2 'unknown action' $K nic vm frobnicate
expect 2 'up or down' $K nic vm link net0 sideways
expect 3 'no VM' $K nic nosuch list
expect 2 'not a group address' $K run --nic none,mac=01:00:00:00:00:00 --kernel x
expect 2 'there are heartbeat, shutdown' $K run --ic heart=on --kernel x
expect 3 'no VM "nosuch"' $K vnc nosuch
expect 2 'write unix:PATH, HOST:PORT' $K vnc nosuch --listen localhost
expect 2 'write unix:PATH, HOST:PORT' $K vnc nosuch --listen ::1:5900
expect 2 'write unix:PATH, HOST:PORT' $K vnc nosuch --listen 127.0.0.1:65536
expect 2 'which path' $K vnc nosuch --listen unix:
for a in 0.0.0.0:5900 :5900 127.0.0.1:5900 '[::1]:5900'; do expect 2 'whoever reaches that port could use the VM; give --password-file' $K vnc nosuch --listen $a; done
expect 1 'nosuch-file: No such file' $K vnc nosuch --password-file "$W/nosuch-file"
expect 1 'empty: a VNC password has 1 to 8 characters' $K vnc nosuch --password-file "$W/empty"
echo ninechars >"$W/long"; expect 1 'a VNC password has 1 to 8 characters' $K vnc nosuch --password-file "$W/long"
# help is everywhere, hints for what others call it
for v in run list info stats stop kill pause resume save restore migrate console disk nic ic; do
	for h in "$v --help" "$v -h" "help $v"; do
		out=$($K $h) && grep -q "usage: kvmbus $v" <<<"$out" || { echo "not ok cli: kvmbus $h: $out"; bad=1; }
	done
done
$K disk --help | grep -q 'limit' && $K disk x limit --help | grep -q -- --iops && ! $K help disk limit | grep -q eject || { echo "not ok cli: help of an action"; bad=1; }
expect 2 'unknown command "shutdown"; did you mean stop\?' $K shutdown web
expect 2 'did you mean ic VM --enable NAME' $K Enable-VMIntegrationService web
for s in heartbeat heartbeat= heartbeat=maybe heartbeat=on,max heartbeat=on,max=3 heartbeat=on,min=1.0 'heartbeat=on,max=1.0,'; do expect 2 'write heartbeat=on' $K run --ic "$s"; done
expect 2 'has an option of its own' $K run --ic vsock=off
for s in none,after=4 event,after= reset,later=9 ignore; do expect 2 'write none, event or reset' $K run --on-heartbeat-lost "$s"; done
expect 2 'did you mean kill' $K destroy web
expect 2 'did you mean list' $K Get-VM
expect 2 'did you mean stop VM --reboot' $K restart-vm web
expect 2 'did you mean pause' $K suspend web
expect 2 'did you mean save' $K Save-VM web
expect 3 'no VM "nosuch"' $K save nosuch "$W/state"; [ ! -e "$W/state" ] || { echo "not ok cli: save made a file"; bad=1; }
expect 3 'no VM "nosuch"' $K save nosuch "$W/state" --compress zstd --threads 2
expect 2 'must be zstd' $K save nosuch "$W/state" --compress gzip
expect 2 'must be 1 to 64' $K save nosuch "$W/state" --threads 0
expect 2 'must be 1 to 64' $K save nosuch "$W/state" --threads 65
expect 3 'no VM "nosuch"' $K migrate nosuch "unix:$W/m"
expect 3 'no VM "nosuch"' $K migrate nosuch tcp:localhost
expect 3 'no VM "nosuch"' $K migrate nosuch tcp:192.0.2.1 --insecure
expect 2 'write unix:PATH' $K migrate nosuch host2
expect 2 'write unix:PATH' $K run --incoming udp:x:1
expect 2 'nothing protects' $K migrate nosuch tcp:192.0.2.1
expect 2 'nothing protects' $K run --incoming tcp::6600
expect 2 'goes with tcp: and fd:' $K migrate nosuch "unix:$W/m" --tls "$W"
expect 2 'goes without --tls' $K migrate nosuch tcp:localhost --tls "$W" --insecure
expect 2 'streams goes with tcp: only' $K migrate nosuch "unix:$W/m" --streams 2
expect 2 'streams goes with tcp: only' $K migrate nosuch fd:0 --streams 2 --compress zstd
expect 2 'streams' $K migrate nosuch tcp:localhost --streams 0
expect 2 'streams' $K migrate nosuch tcp:localhost --streams 17
expect 2 'compress' $K migrate nosuch tcp:localhost --compress gzip
expect 3 'no VM "nosuch"' $K migrate nosuch tcp:localhost --streams 16 --compress zstd
expect 3 'no VM "nosuch"' $K migrate nosuch "unix:$W/m" --streams 1 --compress zstd
expect 2 'streams' $K run --incoming tcp:localhost --streams 2
expect 2 'tls goes with --incoming' $K run --tls "$W" --kernel x
expect 2 'brings its options' $K run --incoming tcp::6600 --tls "$W" --cpus 2
expect 1 'ca-cert.pem: No such file' $K migrate nosuch tcp:192.0.2.1 --tls "$W"
expect 1 'ca-cert.pem: No such file' $K run --incoming tcp::6600 --tls "$W"
expect 2 'goes with tcp: and fd:' $K run --incoming "unix:$W/m" --insecure
expect 2 'goes with --incoming' $K run --insecure --kernel x
expect 1 'fd:77: no such descriptor' $K run --incoming fd:77
expect 1 'fd:0: it is no stream socket' $K run --incoming fd:0
expect 2 'brings its options' $K run --incoming "unix:$W/m" --cpus 2
expect 1 'state: No such file' $K restore "$W/state"
expect 1 'not the state of a VM' $K restore "$W/junk"
expect 1 'not the state of a VM' $K restore "$W/zero"
expect 2 'did you mean run' $K rnu
expect 2 'unknown command "frobnicate"; see kvmbus help' $K frobnicate
expect 2 'which command' $K
expect 2 'unknown command "x.n[^[:cntrl:]]*"; see' $K $'x\n\e[31m'
expect 2 'did you mean --memory' $K run -m 512
expect 2 'did you mean --cpus' $K run -smp 2
expect 2 'did you mean --kernel' $K run --kernl x
# numbers, extra words, names
expect 2 'timeout "": must be' $K stop a --timeout ''
expect 2 'unexpected word "extra"' $K disk a list extra
expect 2 'unexpected word' $K disk a remove 0:0 x
expect 2 'iops does not belong here' $K disk a remove --iops 5 0:0
expect 2 'letter or digit' $K run --name -x --kernel x
expect 2 'letters, digits' $K run --name --cpus --kernel x
expect 3 'no VM "-x"' $K kill -- -x
expect 2 'must be 16M to 8T' $K run --memory 16T --kernel x
bits=$(sed -n 's/^address sizes.*: \([0-9]*\) bits physical.*/\1/p;T;q' /proc/cpuinfo)
[ "${bits:-48}" -gt 43 ] || expect 2 "this CPU has $bits address bits" $K run --memory "$((1 << bits - 30))G" --kernel x
expect 2 'whole number: 1536M' $K run --memory 1.5G --kernel x
expect 2 'a comma in a file.s name is written ,,' $K run --disk with,comma.img --kernel x
expect 2 'without file=' $K run --disk file=d.img --kernel x
expect 2 'without path=' $K run --disk path=d.img --kernel x
expect 2 'without file=' $K disk ghost add file=d.img
expect 2 'did you mean ro\?' $K run --disk x,readonly=on --kernel x
expect 2 'an nbd:// URI' $K run --disk http://h/x.img --kernel x
expect 2 'nbd://HOST' $K run --disk nbd:host --kernel x
expect 2 'at most 20 characters' $K run --disk x,serial=123456789012345678901 --kernel x
expect 2 'must be writeback' $K disk ghost add x,cache=unsafe
expect 2 'at most 15 characters' $K run --nic tap=averyveryverylonginterfacename --kernel x
expect 2 'not zero' $K run --nic none,mac=00:00:00:00:00:00 --kernel x
expect 2 'same address' $K run --nic none,mac=00:15:5d:00:00:01 --nic user,mac=00:15:5D:00:00:01 --kernel x
expect 2 'not UTF-8' $K nic ghost add $'\377'
expect 2 'at most 100 bytes' $K run --control "/tmp/$(printf '%0200d' 0)" --kernel x
expect 3 'at most 107 bytes' $K info "/tmp/$(printf '%0200d' 0)"
expect 2 'must not be empty' $K run --control '' --kernel x
expect 2 'shutdown,timeout=S or kill' $K run --on-term halt --kernel x
expect 2 'takes no timeout' $K run --on-term kill,timeout=5 --kernel x
expect 2 '0 to 86400' $K run --on-term shutdown,timeout=soon --kernel x
expect 2 'must be reset, pause or poweroff' $K run --on-crash dump --kernel x
# a script must not take a full disk for an empty list
expect_full() { out=$($K $1 2>&1 >/dev/full); [ $? = 1 ] && [ "$out" = 'kvmbus: standard output: No space left on device' ] || { echo "not ok cli: kvmbus $1 >/dev/full: $out"; bad=1; }; n=$((n + 1)); }
for c in list "list --json" --help --version "help run" "disk --help"; do expect_full "$c"; done
expect 1 'XDG_RUNTIME_DIR is "/etc/passwd", which is not a directory' env XDG_RUNTIME_DIR=/etc/passwd $K list
expect 2 'unknown; stdio' $K run --serial usb --kernel x
expect 2 'letters, digits' $K run --name ../../etc --kernel x
expect 2 'unexpected word' $K run --kernel x y
expect 2 'kvmbus run: unknown option "--frobnicate"; see kvmbus help run' $K run --frobnicate
expect 3 'no VM "ghost"' $K info ghost
expect 3 'no VM "ghost"' $K stop ghost
expect 3 'no VM "ghost"' $K kill ghost
expect 3 'no VM "ghost"' $K pause ghost
expect 3 'no VM "ghost"' $K stats ghost
expect 3 'no VM "ghost"' $K console ghost
expect 2 'which VM' $K info
expect 2 'timeout "soon": must be 0 to 86400' $K stop ghost --timeout soon
expect 2 'unexpected word "b"' $K info a b
expect 2 'bad option "cache=maybe": must be writeback, none or writethrough' $K run --disk x,cache=maybe --kernel x
expect 2 'bad option "format=zip": must be raw, vhd, vhdx, qcow2, vmdk or vdi' $K run --disk x,format=zip --kernel x
expect 2 'no file named' $K run --disk ,ro --kernel x
expect 2 'which VM' $K disk
expect 2 'do what' $K disk ghost
expect 2 'unknown action "frob"' $K disk ghost frob
expect 2 'is missing' $K disk ghost add
expect 2 'SIZE "soon": not a size' $K disk ghost resize 0:0 soon
expect 2 'unknown option "--fast"' $K disk ghost remove --fast
expect 3 'no VM "ghost"' $K disk ghost list
expect 2 'not UTF-8' $K disk ghost add $'/tmp/\377'
if tests/lab/has-hyperv 2>/dev/null || [ -n "${LAB_IN_L1:-}" ]; then
	expect 1 'No such file' $K run --kernel "$W/none" --serial none
	expect 1 'not a bzImage' $K run --kernel "$W/junk" --serial none
	expect 1 'it is empty' $K run --kernel "$W/empty" --serial none
	expect 1 'not a regular file' $K run --kernel /tmp --serial none
	expect 1 'initrd .*: No such file' $K run --kernel build/guest/mb.elf --initrd "$W/none" --serial none
	expect 1 'disk .*: No such file' $K run --kernel build/guest/mb.elf --disk "$W/none" --serial none
	expect 1 "disk $PWD/none-such: No such file" $K run --kernel build/guest/mb.elf --disk none-such --serial none
	expect 1 'disk .*: it is a directory' $K run --kernel build/guest/mb.elf --disk "$W,ro" --serial none
	expect 1 'smaller than one block' $K run --kernel build/guest/mb.elf --disk "$W/junk" --serial none
	expect 1 'locked' $K run --kernel build/guest/mb.elf --disk "$W/zero" --disk "$W/zero" --serial none
	expect 1 'taken' $K run --kernel build/guest/mb.elf --disk "$W/zero,lun=1" --disk "build/guest/mb.elf,ro,lun=1" --serial none
	cp "$W/zero" "$W/zero.vhdx"; cp "$W/zero" "$W/zero.qcow2"
	expect 1 'disk .*zero.vhdx: ' $K run --kernel build/guest/mb.elf --disk "$W/zero.vhdx" --serial none
	expect 1 'disk .*zero.qcow2: ' $K run --kernel build/guest/mb.elf --disk "$W/zero.qcow2" --serial none
	printf 'QFI\373\0\0\0\3' | dd of="$W/zero" conv=notrunc 2>/dev/null
	expect 1 'it looks like a qcow2 image; use format=raw' $K run --kernel build/guest/mb.elf --disk "$W/zero" --serial none
	expect 1 'no connection to its NBD server' $K run --kernel build/guest/mb.elf --disk "nbd+unix:///?socket=$W/none" --serial none
	expect 1 'and is left alone' $K run --kernel build/guest/mb.elf --control "$W/junk" --serial none
	expect 1 'and is left alone' $K run --kernel build/guest/mb.elf --serial "unix=$W/junk"
	expect 1 'open to every user' $K run --kernel build/guest/mb.elf --control @kvmbus --serial none
	expect 1 'disk .*: No such file' $K run --kernel build/guest/mb.elf --disk "$W/none" --serial "file=$W/junk"
	expect 1 "it is an image of this VM" $K run --kernel build/guest/mb.elf --disk "$W/junk,ro" --serial "file=$W/junk"
	expect 1 "it is this VM's initrd" $K run --kernel build/guest/mb.elf --initrd "$W/junk" --serial "file=$W/junk"
	mkfifo "$W/fifo"
	expect 1 'not a regular file' timeout 30 $K run --kernel "$W/fifo" --serial none
	expect 1 'neither a file nor a block device' timeout 30 $K run --kernel build/guest/mb.elf --disk "$W/fifo,ro" --serial none
	[ "$(cat "$W/junk")" = 'not a kernel at all' ] || { echo "not ok cli: a file was touched"; bad=1; }
	expect 1 'no such tap' $K run --kernel build/guest/mb.elf --nic tap=nosuch0 --serial none
	[ -z "$(ls -A "$W/kvmbus" 2>/dev/null)" ] || { echo "not ok cli: a socket was left behind"; bad=1; }
else
	expect 1 'KVM_CAP_HYPERV|/dev/kvm: ' $K run --kernel build/guest/mb.elf --serial none
fi
$K --help >/dev/null && $K run --help >/dev/null && $K --version >/dev/null && [ "$($K list --json)" = '[]' ] || { echo "not ok cli: help, version or list"; bad=1; }
[ $bad = 0 ] && echo "ok cli ($n cases)"
exit $bad
