#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# gen1-vnc.sh: TigerVNC, which is not LibVNCServer's sibling, shows the GRUB of a machine without --kernel, types, sees the answer, and lives
# through another size of the screen; nobody looks any more when it has gone. Its own pictures are in build/.
# Needs tigervnc-viewer, xvfb and xdotool on this machine.
. "$(dirname "$0")/lib.sh"
F=$KVMBUS_CACHE/firmware G=$F/usr/lib/grub-rescue BIOS=$F/usr/share/seabios/bios-256k.bin
for p in xtigervncviewer Xvfb xdotool; do command -v $p >/dev/null || skip "no $p here; apt install tigervnc-viewer xvfb xdotool"; done
ip link set lo up 2>/dev/null
shows() { "$KVMBUS" screenshot vnc --text 2>/dev/null | grep -q -- "$1"; } # PATTERN
window() { WINDOW=$(xdotool search --name '- kvmbus' | tail -1) && [ -n "$WINDOW" ] && eval "$(xdotool getwindowgeometry --shell "$WINDOW")"; } # sets X, Y
picture() { # NAME
	window && "$KVMBUS" screenshot vnc "$W/now.png" &&
		python3 "$KVMBUS_TOP/tests/boot/vnc-picture.py" "$W/fb/Xvfb_screen0" "$W/now.png" "$W/$1.png" "$X" "$Y" 2>"$W/picture.log"
}
keep() { cp "$W/$1.png" "$LAB_OUT/gen1-vnc-$1.png" 2>/dev/null; }
big() { "$KVMBUS" screenshot vnc "$W/now.png" --json | pick 'width == 1024' && picture big; }
cp "$G/grub-rescue-usb.img" "$W/disk.raw"
"$KVMBUS" run --name vnc --memory 256M --firmware "$BIOS" --serial "file=$W/vnc.log" --on-term kill --nic none --disk "$W/disk.raw" </dev/null 2>"$W/vnc.err.log" &
PID_vnc=$!
until_true 120 "no GRUB" shows 'GNU GRUB\|grub>'
"$KVMBUS" vnc vnc >"$W/server.log" 2>&1 & SERVER=$!
until_true 30 "no server" grep -q '^unix:/' "$W/server.log"
SOCKET=$(sed -n 's/^unix://p' "$W/server.log")
[ "$(stat -c %a "$SOCKET")" = 600 ] || fail "others may connect"
info vnc 'screen.viewers == 0' || fail "somebody looks"

mkdir "$W/fb" "$W/home"
Xvfb :79 -screen 0 1280x1024x24 -nolisten tcp -fbdir "$W/fb" >"$W/xvfb.log" 2>&1 &
export DISPLAY=:79 HOME=$W/home
until_true 90 "no X server" xdotool getdisplaygeometry
xdotool mousemove 1200 1000
xtigervncviewer -geometry=+0+0 -AutoSelect=0 -PreferredEncoding=ZRLE -FullColor=1 -NoJPEG=1 -AlertOnFatalError=0 "$SOCKET" >"$W/viewer.log" 2>&1 & VIEWER=$!
until_true 90 "the viewer does not connect" info vnc 'screen.viewers == 1'
until_true 90 "the viewer does not show GRUB" picture grub
keep grub
xdotool windowfocus "$WINDOW"
xdotool key c # from its menu to its prompt
until_true 60 "no prompt" shows 'grub>'
xdotool type --delay 100 'set a=b; echo ${a}IG_$a'
xdotool key Return
until_true 60 "GRUB does not answer" shows '^bIG_b'
until_true 60 "the viewer does not show the answer" picture answer
keep answer
xdotool type --delay 100 'set gfxmode=1024x768; insmod all_video; terminal_output gfxterm'
xdotool key Return
until_true 90 "the viewer does not show GRUB's graphics" big
keep big
kill $VIEWER
until_true 30 "it looks on" info vnc 'screen.viewers == 0'
kill -KILL $SERVER; wait $SERVER 2>/dev/null # the VM goes on
"$KVMBUS" vnc vnc --view-only >"$W/server.log" 2>&1 & SERVER=$!
until_true 30 "no second server" grep -q '^unix:/' "$W/server.log"
"$KVMBUS" kill vnc; vm_end vnc 60 6
wait $SERVER || fail "the server does not end with its VM: $(<"$W/server.log")"
[ ! -e "$SOCKET" ] || fail "its socket stays"
