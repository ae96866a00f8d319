#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `kvmbus import`: images, exports and disks become VMs' files whose disks hold the same; what is hostile or interrupted leaves nothing. Then run
# --config reads such files. Needs no KVM. As root also a loop device, and a disk by a real sshd.
cd "$(dirname "$0")/../.." || exit 1
K=$(realpath "${K:-build/kvmbus}") DATA=$PWD/tests/data/import W=$(mktemp -d) bad=0 n=0
cd "$W" || exit 1
PIDS=() LOOP=
trap '[ -z "$LOOP" ] || losetup -d "$LOOP"; kill -KILL "${PIDS[@]}" 2>/dev/null; rm -rf "$W"' EXIT
export XDG_RUNTIME_DIR=$W
err() { echo "not ok import: $*"; bad=1; }
# expect STATUS PATTERN command...: exactly one line on stderr
expect() {
	local want=$1 pattern=$2 rc out; shift 2
	out=$("$@" 2>&1 >/dev/null </dev/null); rc=$?
	n=$((n + 1))
	[ $rc = "$want" ] && [ "$(wc -l <<<"$out")" = 1 ] && grep -qE -- "$pattern" <<<"$out" || err "$*: status $rc (want $want), said: $out"
}
import() { n=$((n + 1)); "$K" import "$@" >out 2>err.txt </dev/null || err "import $*: $(<err.txt)"; }
has() { grep -qE -- "$2" "$1" || err "$1 has no $2: $(<"$1")"; }
same() { qemu-img compare -q -f "$1" -F "$3" "$2" "$4" || err "$2 and $4 differ"; }
gone() { for g; do [ ! -e "$g" ] || err "$g is there"; done; }
data() { truncate -s "$2" "$1"; for at in $3; do dd if=/dev/urandom of="$1" bs=1M count=2 seek="$at" conv=notrunc status=none; done; }
data base.raw 24M "0 7 20"

# a disk image alone
for f in raw qcow2 vhdx vhd vmdk vdi; do
	q=$f; [ $f = vhd ] && q=vpc
	qemu-img convert -f raw -O $q base.raw src.$f
	import src.$f --to a-$f
	has a-$f/src.conf "^disk = src.$f,format=$f\$"
	cmp src.$f a-$f/src.$f || err "the copy of src.$f differs"
done
qemu-img convert -f raw -O vpc -o subformat=fixed,force_size=on base.raw fixed.vhd
import fixed.vhd --to a-fixed; has a-fixed/fixed.conf 'format=vhd$'
for f in raw qcow2 vhdx vhd; do
	q=$f; [ $f = vhd ] && q=vpc
	import src.qcow2 --to b-$f --convert $f
	same raw base.raw $q b-$f/src.$f
done
import src.vhdx --in-place --to c --name 'V-1.x'; has c/V-1.x.conf "^disk = $W/src.vhdx,format=vhdx\$"; gone c/src.vhdx
import src.raw --dry-run --to d; gone d; has out '^disk = src.raw,format=raw$'
import src.raw --to e --json; python3 -c 'import json; d = json.loads(open("out").readlines()[-1]); assert d["event"] == "imported" and d["disks"][0]["path"] == "src.raw" and d["file"].endswith("/e/src.conf"), d' || err "json: $(<out)"
expect 1 'it cannot be read as vhdx: qemu-img: Could not' "$K" import src.raw --format vhdx --to as
import src.raw --to 'to here'; has out "run --config '/.*/to here/src.conf'\$"
expect 1 'src.conf: it exists, and nothing is overwritten' "$K" import src.raw --to e
mv e/src.conf e/x; expect 1 'src.raw: it exists, and nothing is overwritten' "$K" import src.raw --to e
# a disk that is called as the VM's file; a name that no file of a VM can hold
cp src.raw vm.conf; import vm.conf --to names; has names/vm.conf '^disk = vm-2.conf,format=raw$'; cmp src.raw names/vm-2.conf || err "vm-2.conf differs"
mkdir $'odd\nname'; cp src.raw $'odd\nname/odd.raw'
expect 1 "a VM's file cannot hold .*; --copy gives" "$K" import $'odd\nname/odd.raw' --in-place --to odd; gone odd
cp src.raw $'csi\u9b.raw'; expect 1 "a VM's file cannot hold" "$K" import $'csi\u9b.raw' --in-place --to odd; gone odd
import $'odd\nname/odd.raw' --to $'odd\nto'; has $'odd\nto/odd.conf' '^disk = odd.raw,format=raw$'; [ "$(wc -l <out)" = 2 ] || err "odd: $(<out)"
# which firmware: GPT with an EFI system partition, by its type's GUID
data gpt.raw 24M 7
python3 - <<-'P'
	import struct, uuid
	f = open('gpt.raw', 'r+b')
	f.seek(446); f.write(bytes([0, 0, 2, 0, 0xee, 255, 255, 255]) + struct.pack('<II', 1, 49151)); f.seek(510); f.write(b'\x55\xaa')
	f.seek(512); f.write(b'EFI PART' + bytes(64) + struct.pack('<QII', 2, 128, 128))
	f.seek(1024); f.write(uuid.UUID('c12a7328-f81f-11d2-ba4b-00a0c93ec93b').bytes_le + bytes(112))
P
for f in raw qcow2 vhdx; do qemu-img convert -f raw -O $f gpt.raw gpt-$f.img; import gpt-$f.img --to f-$f; has f-$f/gpt-$f.conf "^firmware = uefi,vars=gpt-$f.vars\$"; done

# what images may not do
printf 'not for you' >secret; mkdir folder
qemu-img create -q -u -f qcow2 -F raw -b "$W/secret" folder/evil.qcow2 1M
for how in --copy '--convert raw' --in-place; do expect 1 'overlay of "secret", which is not in its folder' "$K" import folder/evil.qcow2 --to g $how; done
ln -s "$W/secret" folder/link; qemu-img create -q -u -f qcow2 -F raw -b link folder/evil.qcow2 1M
expect 1 'overlay of "link", which is not in its folder' "$K" import folder/evil.qcow2 --to g --convert raw
qemu-img create -q -f qcow2 self.qcow2 1M; qemu-img rebase -q -u -f qcow2 -F qcow2 -b self.qcow2 self.qcow2
expect 1 'chain of parents has no end' "$K" import self.qcow2 --to g --convert raw
printf '# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 2048 FLAT "%s" 0\n' "$W/secret" >evil.vmdk
expect 1 'evil.vmdk' "$K" import evil.vmdk --to g
qemu-img create -q -f qcow2 -o data_file=secret.dat df.qcow2 1M
expect 1 'keeps its data in another file' "$K" import df.qcow2 --to g
: >empty; expect 1 'empty' "$K" import empty --to g
expect 1 'neither a file nor a folder' "$K" import /dev/zero --to g
expect 1 'No such file' "$K" import nosuch --to g
mkfifo fifo; expect 1 'neither a file nor a folder' timeout 20 "$K" import fifo --to g
gone g
# a chain in a folder
qemu-img create -q -f qcow2 -F qcow2 -b src.qcow2 top.qcow2; qemu-io -f qcow2 -c 'write -q -P 90 3M 1M' top.qcow2
expect 1 'convert FORMAT makes one whole image' "$K" import top.qcow2 --to h
import top.qcow2 --to h --convert vhdx; has out 'the parents of disk "top.qcow2", "src.qcow2"'; same qcow2 top.qcow2 vhdx h/top.vhdx

# a folder of 2008 R2, and chains that its checkpoints leave
X="exp/Virtual Machines/0AA394FA-7C4A-4070-BA32-773D43B28A68.xml"; mkdir -p "exp/Virtual Machines" "exp/Virtual Hard Disks" exp/Snapshots
sed 's/encoding="UTF-8"/encoding="UTF-16"/' "$DATA/2008r2.xml" | iconv -f utf-8 -t utf-16 >"$X"; touch exp/Snapshots/A.xml exp/config.xml
cp src.vhd "exp/Virtual Hard Disks/System.vhd"; for d in 'Data, 1.vhd' logs.vhd; do qemu-img create -q -f vpc "exp/Virtual Hard Disks/$d" 5M; done
import exp --to i
for line in 'name = Web-server' 'uuid = 0aa394fa-7c4a-4070-ba32-773d43b28a68' 'cpus = 2' 'memory = 1536M' 'firmware = bios' 'boot = cdrom,disk,net' 'ic = timesync=off' \
	'disk = System.vhd,format=vhd,controller=4,lun=0' 'dvd = empty,controller=6,lun=0' 'disk = Data__1.vhd,format=vhd,controller=7,lun=0' \
	'disk = logs.vhd,format=vhd,controller=0,lun=5' 'nic = user,mac=00:15:5d:01:07:dc'; do grep -qxF -- "$line" i/Web-server.conf || err "no $line: $(<i/Web-server.conf)"; done
for line in 'Key-Value Pair' 'limit of the processors' 'COM1' '1 checkpoints in its folder' 'CD "C:.ISO.tools.iso", which is not in the folder'; do has out "not taken over: .*$line"; done
cmp src.vhd i/System.vhd || err "System.vhd differs"
import "$X" --in-place --to j; has j/Web-server.conf "^disk = $W/exp/Virtual Hard Disks/Data,, 1.vhd,format=vhd,controller=7,lun=0\$"
python3 - "exp/Virtual Hard Disks/" <<-'P' || err "no chain"
	import struct, sys                              # System.vhd's child: one sector of its own
	d = sys.argv[1]; p = open(d + 'System.vhd', 'rb').read(); foot = bytearray(p[:512]); size = struct.unpack('>Q', foot[48:56])[0]
	block, n = 2 << 20, -(-size // (2 << 20)); table = -(-n * 4 // 512) * 512
	struct.pack_into('>I', foot, 60, 4); foot[68:84] = b'c' * 16; struct.pack_into('>Q', foot, 16, 512)
	head = bytearray(1024); head[:8] = b'cxsparse'; struct.pack_into('>QQ', head, 8, ~0 & 2**64 - 1, 1536); struct.pack_into('>III', head, 24, 0x10000, n, block)
	head[40:56] = p[68:84]; name = 'D:\\vm\\System.vhd'.encode('utf-16-be'); head[64:64 + len(name)] = name
	bat = bytearray(b'\xff' * table); struct.pack_into('>I', bat, 4, (1536 + table) // 512)
	bits = bytearray(512); bits[0] = 0x40           # the second sector of the second block
	def check(b, at): struct.pack_into('>I', b, at, 0); struct.pack_into('>I', b, at, ~sum(b) & 0xffffffff)
	check(foot, 64); check(head, 36)
	open(d + 'now.avhd', 'wb').write(bytes(foot) + head + bat + bits + bytes(512) + b'NEW!' * 128 + bytes(block - 1024) + foot)
P
sed 's/Disks\\System.vhd/Disks\\now.avhd/' "$DATA/2008r2.xml" >"$X"
expect 1 'now.avhd": it is an overlay; --convert FORMAT' "$K" import exp --to k
import exp --to k --convert qcow2
cp base.raw want.raw; printf 'NEW!%.0s' $(seq 128) | dd of=want.raw bs=512 seek=4097 conv=notrunc status=none
truncate -s "$(qemu-img info --output=json k/now.qcow2 | sed -n 's/.*"virtual-size": \([0-9]*\).*/\1/p' | head -1)" want.raw; same raw want.raw qcow2 k/now.qcow2
import exp --to l --convert raw; cmp want.raw l/now.raw || err "flattened raw differs"
rm "exp/Virtual Hard Disks/System.vhd"; expect 1 'overlay of "System.vhd", which is not in its folder' "$K" import exp --to m --convert raw
ln -s "$W/src.vhd" "exp/Virtual Hard Disks/System.vhd"; expect 1 'System.vhd", which is not in its folder' "$K" import exp --to m --convert raw
# an export in WMI's words; a .vmcx that nobody can read: its disks
rm -r exp; mkdir -p exp/"Virtual Machines" exp/"Virtual Hard Disks"; cp "$DATA/2008r2.exp" "exp/Virtual Machines/1.exp"; cp src.vhd exp/System.vhd; cp src.vhd exp/logs.vhd
import exp --to n; has n/old.conf '^disk = logs.vhd,format=vhd,controller=0,lun=3$'
cp "$DATA/2012r2.xml" "exp/Virtual Machines/2.xml"; expect 1 'it has 2 VMs; name the description' "$K" import exp --to m
rm exp/Virtual\ Machines/*; head -c 9000 /dev/urandom >"exp/Virtual Machines/AAAAAAAA-7C4A-4070-BA32-773D43B28A68.vmcx"
import exp --to o; has out 'not taken over: all its settings but disks: AAAAAAAA-.*: it is no .vmcx'; has o/*.conf '^uuid = aaaaaaaa-'; [ "$(grep -c ^disk o/*.conf)" = 2 ] || err "disks of a .vmcx"
: >exp/x.avhdx; expect 1 'only it says which of the checkpoints is now' "$K" import exp --to m
rm -r exp; mkdir exp; expect 1 'no description of a VM' "$K" import exp --to m
gone m

# an OVA: its disk is for transport, and becomes a qcow2
qemu-img convert -f raw -O vmdk -o subformat=streamOptimized base.raw disk1.vmdk; cp "$DATA/vmware.ovf" vm.ovf
tar -cf vm.ova --format=ustar vm.ovf disk1.vmdk
mkdir $'odd\nova'; cp vm.ova $'odd\nova/vm.ova'; import $'odd\nova/vm.ova' --to odd-ova; same raw base.raw qcow2 odd-ova/disk1.qcow2
import vm.ova --dry-run --to p; gone p; has out '^disk = disk1.qcow2,format=qcow2$'; has out '^# made from the OVA vm.ova; its disks were not looked at'
import vm.ova --to p; same raw base.raw qcow2 p/disk1.qcow2
for line in '^name = The-VM$' '^cpus = 2$' '^memory = 2048M$' '^firmware = uefi,vars=The-VM.vars$' '^disk = disk1.qcow2,format=qcow2$' '^nic = user,mac=00:50:56:01:02:03$'; do has p/The-VM.conf "$line"; done
[ "$(ls -A p | wc -l)" = 2 ] || err "left beside an OVA's disk: $(ls -A p)"
import vm.ova --to q --convert vhdx; same raw base.raw vhdx q/disk1.vhdx
import vm.ovf --to r --convert raw; cmp base.raw r/disk1.raw || err "disk1.raw differs"
expect 1 'cannot be written to; --convert' "$K" import vm.ova --to s --copy
expect 1 'cannot stay there' "$K" import vm.ova --to s --in-place
head -c 3000000 vm.ova >short.ova; expect 1 'disk1.vmdk' "$K" import short.ova --to s
tar -cf no.ova --format=ustar disk1.vmdk; expect 1 'there is no .ovf in it' "$K" import no.ova --to s
sed 's/"disk1.vmdk"/"..\/secret"/' vm.ovf >evil.ovf; expect 1 'a file of it is elsewhere' "$K" import evil.ovf --to s
tar -cf evil.ova --format=ustar --transform 's/evil.ovf/vm.ovf/' evil.ovf disk1.vmdk; expect 1 'a file of it is elsewhere' "$K" import evil.ova --to s
gone s

# usage
expect 2 'only one of them' "$K" import src.raw --copy --in-place
expect 2 'must be raw, qcow2, vhdx or vhd' "$K" import src.raw --convert vmdk
expect 2 'SOURCE is missing' "$K" import
expect 2 'needs --name' "$K" import --from-device src.raw
expect 2 'goes without SOURCE' "$K" import src.raw --from-device src.raw --name x
expect 2 'verify goes with' "$K" import src.raw --verify
expect 2 'letter or digit' "$K" import src.raw --name -x
expect 1 'write ssh://' "$K" import --from-device ssh://-oProxyCommand=x/y --name x

# interrupted while it converts: nothing is left
data large.raw 600M "$(seq 0 4 590)"
for sig in INT KILL; do
	"$K" import large.raw --to t --convert qcow2 --json >out 2>/dev/null & p=$!; PIDS+=($p)
	for _ in $(seq 3000); do [ -s out ] && break; sleep 0.02; done
	kill -$sig $p; wait $p 2>/dev/null
	[ -z "$(ls -A t 2>/dev/null)" ] || err "after SIG$sig: $(ls -A t)"
done
for p in $(pgrep -x qemu-img); do ! ls -l /proc/$p/fd 2>/dev/null | grep -q "$W" || err "qemu-img goes on"; done

# a disk by NBD, killed again and again: the same command goes on, and the copy is equal
mkdir shim; printf '#!/bin/sh\nexec %s -s -r --filter=delay file "$4" rdelay=${DELAY:-1000ms}\n' "$(command -v nbdkit)" >shim/nbdkit; chmod +x shim/nbdkit
printf '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nPATH=%s:$PATH exec sh -c "$3" 2>/dev/null\n' "$W/shim" >ssh; chmod +x ssh
export KVMBUS_SSH=$W/ssh
copied() { python3 -c 'import sys; print(sum(bin(b).count("1") for b in open(sys.argv[1], "rb").read()[4096:]))' "$1" 2>/dev/null || echo 0; }
data disk.img 300M "$(seq 0 3 290)"; before=0
for round in 1 2 3; do
	"$K" import --from-device "ssh://h$W/disk.img" --name m --to u >/dev/null 2>&1 & p=$!; PIDS+=($p)
	for _ in $(seq 1200); do now=$(copied u/m.raw.journal); [ "$now" -gt $before ] && break; sleep 0.05; done
	kill -KILL $p; wait $p 2>/dev/null
	[ "$(copied u/m.raw.journal)" -gt $before ] || err "round $round: nothing is copied: $now"
	before=$(copied u/m.raw.journal); gone u/m.conf
done
[ "$before" -lt 300 ] || err "it was never interrupted"
expect 1 'm.raw.journal is of another disk' "$K" import --from-device disk.img --name m --to u
export DELAY=0ms
expect 1 'm.raw.journal is of a disk of' "$K" import --from-device "ssh://h$W/base.raw" --name m --to u
mv u/m.raw u/x; expect 1 'm.raw is gone, and its journal is there' "$K" import --from-device "ssh://h$W/disk.img" --name m --to u; mv u/x u/m.raw
import --from-device "ssh://h$W/disk.img" --name m --to u --verify
cmp disk.img u/m.raw || err "the copy of disk.img differs"
gone u/m.raw.journal; has u/m.conf '^disk = m.raw,format=raw$'
[ "$(stat -c %b u/m.raw)" -le $(($(stat -c %b disk.img) + 4096)) ] || err "holes were filled"
expect 1 'm.conf: it exists' "$K" import --from-device disk.img --name m --to u
expect 1 'cannot be read' "$K" import --from-device ssh://h/nosuch --name x --to v
KVMBUS_SSH=/bin/false expect 1 'ssh has not reached it' "$K" import --from-device ssh://h/dev/sda --name x --to v
gone v
# qemu-nbd there instead of nbdkit
mkdir none; for c in sh cat basename readlink tr mktemp rm qemu-nbd socat nc; do ln -s "$(command -v $c || echo /nosuch)" none/$c; done
printf '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nPATH=%s; export PATH\nexec sh -c "$(echo "$3" | sed s,:/usr/sbin:/sbin,,)"\n' "$W/none" >ssh2; ln -s "$(command -v sed)" none/sed; chmod +x ssh2
if command -v socat >/dev/null || command -v nc >/dev/null; then
	export KVMBUS_SSH=$W/ssh2; import --from-device "ssh://h$W/disk.img" --name w --to w; cmp disk.img w/w.raw || err "the copy by qemu-nbd differs"
fi
# of this host; a device
unset KVMBUS_SSH
import --from-device disk.img --name x --to x --verify; cmp disk.img x/x.raw || err "x.raw differs"
if [ "$(id -u)" = 0 ] && LOOP=$(losetup -f --show disk.img 2>/dev/null); then
	import --from-device "$LOOP" --name y --to y --verify; cmp disk.img y/y.raw || err "y.raw differs"
fi
# a real sshd
if [ "$(id -u)" = 0 ] && [ -x /usr/sbin/sshd ]; then
	mkdir -p /run/sshd; ssh-keygen -q -t ed25519 -N '' -f host; ssh-keygen -q -t ed25519 -N '' -f user; cp user.pub keys; chmod 755 "$W"
	printf 'Port 12022\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nPidFile none\nUsePAM no\n' "$W/host" "$W/keys" >sshd.conf
	/usr/sbin/sshd -D -f sshd.conf 2>sshd.log & PIDS+=($!); disown
	printf '#!/bin/sh\nexec ssh -F none -i %s -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes "$@"\n' "$W/user" >ssh3; chmod +x ssh3
	for _ in $(seq 600); do (exec 3<>/dev/tcp/127.0.0.1/12022) 2>/dev/null && break; sleep 0.1; done
	KVMBUS_SSH=$W/ssh3 "$K" import --from-device "ssh://root@127.0.0.1:12022$W/disk.img" --name z --to z --verify >out 2>&1 || err "by sshd: $(<out) $(tail -3 sshd.log)"
	cmp disk.img z/z.raw || err "the copy by sshd differs"
fi

# run --config: who reads the file says where it is wrong; names begin where the file is
R() { expect "$1" "$2" "$K" run --config "${@:3}"; }
printf 'name = a\ncpus = 65\n' >c1; R 2 'c1:2: cpus "65": must be 1 to 64' c1
printf 'naem = a\n' >c1; R 2 'c1:1: unknown key "naem"; did you mean name\?' c1
printf '\nincoming = fd:3\n' >c1; R 2 'c1:2: "incoming" is for the command line only' c1
printf 'disk = a,lunn=3\n' >c1; R 2 'c1:1: --disk ".*/a,lunn=3": bad option' c1
printf 'no-reboot = perhaps\n' >c1; R 2 'c1:1: no-reboot "perhaps": must be on or off' c1
printf 'nic = none,mac=00:15:5d:00:00:01\nnic = none,mac=00:15:5d:00:00:01\n' >c1; R 2 'c1:2: --nic: two NICs cannot have' c1
printf 'name = a\n[net]\nx = y\n' >c1; R 1 'c1:3: it is in another section' c1
R 1 'nosuch: No such file' nosuch
printf 'kernel = vmlinuz\nfirmware = bios\n' >c1; R 2 'firmware does not go with --kernel' c1
[ $bad = 0 ] && echo "ok import ($n cases)"
exit $bad
