#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# dkms.sh STAGE...: a Debian guest with our package, from images of tests/boot/mkdkms, each stage a boot:
#   own          root and NIC on our modules
#   foreign      the host offers a class that only in-tree drivers serve: on those; forced: but with kvmb_bus.force=1 on ours
#   blacklisted  in-tree drivers, for this boot
#   broken       after a kernel update in which our build failed: in-tree; repaired: ours
#   bare         without a build: in-tree; removed: without the package
. "$(dirname "$0")/lib.sh"
images=$KVMBUS_TOP/build/dkms
tap
for stage; do
	image=$stage more= arg=
	case $stage in
	foreign) image=own more=--test-devices ;;
	forced) image=own more=--test-devices arg=kvmb_bus.force=1 ;;
	blacklisted) image=own arg=modprobe.blacklist=kvmb_bus ;;
	esac
	i=$images/$image
	[ ! -e "$i.failed" ] || fail "$(cat "$i.failed")"
	[ -s "$i.img" ] || fail "$stage: no image; tests/boot/mkdkms says why"
	begin=$SECONDS
	qemu-img create -q -f qcow2 -b "$i.img" -F raw "$W/root.qcow2" || fail "no overlay"
	"$KVMBUS" run --name d --kernel "$i.vmlinuz" --initrd "$i.initrd" --cpus 2 --memory "1G${LAB_HUGE:-}" \
		--disk "$W/root.qcow2,backing=$i.img" --nic "tap=$TAP" $more --serial "file=$W/d.log" \
		--append "console=ttyS0 root=LABEL=root rw panic=-1 net.ifnames=0 kvmb.stage=$stage $arg" </dev/null 2>"$W/d.err.log" &
	PID_d=$!
	wait_log d "GUEST: ok $stage" 200
	vm_end d 60 0
	sed -n 's/.*GUEST: stage/# stage/p' "$W/d.log" | tr -d '\r'; echo "# $stage: $((SECONDS - begin)) s"
	mv "$W/d.log" "$W/$stage.log"
done
