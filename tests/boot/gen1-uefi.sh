#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# gen1-uefi.sh: UEFI firmware of a Debian package. Its shell without a disk, a variable that is there again after the VM was killed, one VM at
# a time; GRUB of a Debian package on a GPT disk, for which nobody has named a firmware.
. "$(dirname "$0")/lib.sh"
F=$KVMBUS_CACHE/firmware O=$F/usr/share/OVMF VARS=$W/vars.fd
begin() { # NAME [OPTION...]
	local name=$1; shift
	"$KVMBUS" run --name "$name" --memory 256M --serial "file=$W/$name.log" --on-term kill --nic none "$@" </dev/null 2>"$W/$name.err.log" &
	eval "PID_$name=$!"
}
says() { grep -aq -- "$2" "$W/$1.log"; } # VM PATTERN
in_shell() { # VM: at the prompt of the firmware's own shell, which nothing else could be started
	until_true 400 "$1: no shell" says "$1" 'startup.nsh\|Shell>'
	"$KVMBUS" key "$1" esc # it would wait for a script
	until_true 60 "$1: no prompt" says "$1" 'Shell>'
}
types() { "$KVMBUS" type "$1" "$2"$'\n' || fail "type $2"; }
picture() { # VM: what it shows, which is not all of one colour
	"$KVMBUS" screenshot "$1" "$W/$1.png" || fail "no picture"
	python3 "$KVMBUS_TOP/tests/boot/picture.py" "$W/$1.png" || fail "the picture of $1 is none"
	cp "$W/$1.png" "$LAB_OUT/gen1-uefi-$1.png" 2>/dev/null
}
end() { "$KVMBUS" kill "$1"; vm_end "$1" 60 6; }

begin one --cpus 2 --firmware "$O/OVMF_CODE_4M.fd,vars=$VARS"
in_shell one
picture one
cmp -s "$VARS" "$O/OVMF_VARS_4M.fd" && fail "firmware has written no variables"
[ "$(stat -c %s "$VARS")" = "$(stat -c %s "$O/OVMF_VARS_4M.fd")" ] || fail "the file of variables has another size"
"$KVMBUS" run --name other --firmware "$O/OVMF_CODE_4M.fd,vars=$VARS" --nic none --serial none 2>"$W/other.err" && fail "two VMs use one file"
grep -q 'another VM uses it' "$W/other.err" || fail "that is not said: $(cat "$W/other.err")"
types one 'set kvmbvar kept42'
types one 'echo x%kvmbvar%x'
until_true 60 "the shell does not know its variable" says one xkept42x
until_true 20 "the variable is not in the file" grep -aq 'k.v.m.b.v.a.r' "$VARS"
kill -KILL "$PID_one"; wait "$PID_one"
begin two --firmware "$O/OVMF_CODE_4M.fd,vars=$VARS"
in_shell two
types two 'echo x%kvmbvar%x'
until_true 60 "the variable is gone after the VM was killed" says two xkept42x
types two 'reset -s'
vm_end two 60 0 # firmware can power off

mkdir -p /usr/share/OVMF /usr/share/seabios && cp "$O"/OVMF_*_4M.fd /usr/share/OVMF/ && cp "$F"/usr/share/seabios/*.bin /usr/share/seabios/ || fail "no firmware"
"$LAB_DIR/mkefi" "$W/grub.img" "$F/usr/lib/grub/x86_64-efi/monolithic/gcdx64.efi" || fail "no image"
begin grub --verbose --disk "$W/grub.img"
until_true 400 "no GRUB" says grub 'grub>'
grep -q 'wants UEFI firmware, and gets it' "$W/grub.err.log" || fail "it is not said which firmware was found out"
types grub 'echo six times $seven is 42'
until_true 60 "GRUB does not answer" says grub 'six times *is 42'
picture grub
end grub
