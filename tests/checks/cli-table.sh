#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Walks the command's own table (kvmbus __table): what it says of every verb, word and option is in --help, in the manual
# and in the completion; and whoever gets it wrong is told so in one line, with status 2, before anything is touched.
cd "$(dirname "$0")/../.." || exit 1
K=${K:-build/kvmbus} W=$(mktemp -d) bad=0 n=0
trap 'rm -rf "$W"' EXIT
export XDG_RUNTIME_DIR=$W
err() { echo "not ok cli-table: $*"; bad=1; }
declare -A HELP DONE
help_of() { HELP[$1]=${HELP[$1]:-$($K help $1)}; } # "VERB" or "VERB ACTION"
$K __man docs/man/kvmbus.8.scd >"$W/man" || err "no manual"
grep '^@' "$W/man" && err "the manual has a hole"
man=$(tr -d '*_\\' <"$W/man")
# one STATUS PATTERN COMMAND...: exactly one line on stderr
one() {
	local want=$1 pattern=$2 rc out; shift 2
	out=$("$@" 2>&1 >/dev/null </dev/null); rc=$?
	n=$((n + 1))
	[ $rc = "$want" ] && [[ $out != *$'\n'* ]] && [[ $out =~ $pattern ]] || err "$*: status $rc (want $want), said: $out"
}
completes() { # CANDIDATE WORDS...
	local want=$1; shift; n=$((n + 1))
	$K __complete "$@" | cut -f1 | grep -qxF -- "$want" || err "completion of \"$*\" does not offer $want"
}
mentions() { n=$((n + 1)); [[ $2 == *"$3"* ]] || err "$1 does not mention $3"; }
# a line with the words that the command needs, and none that is wrong; nothing of it exists
line() { # VERB ACTION
	L=("$1"); [ "$2" = - ] || L+=(ghost "$2")
	case "$1 $2" in
	run*|list*|help*) ;;
	"disk add") L+=(f) ;; "nic add") L+=(none) ;; "nic mtu") L+=(net0 1500) ;; "nic link") L+=(up net0) ;;
	"save -") L+=(ghost f) ;; "backup -") L+=(ghost --to d) ;; "migrate -") L+=(ghost unix:/x) ;;
	"disk insert") L+=(0:0 f) ;; "disk list"|"nic list"|"kvp list"|"kvp ip") ;; "copy -") L+=(ghost f :/f) ;; disk*|nic*) L+=(0:0) ;; *) L+=(ghost) ;;
	esac
}
wrong() { # KIND VALUES MIN MAX: values that are none
	case $1 in
	u32) echo "x -1 $(($4 + 1)) 1.5"; [ "$3" = 0 ] || echo $(($3 - 1)) ;;
	size) echo "x -1 1.5G 99999999999T"; [ "$3" = 0 ] || echo 0 ;;
	word) echo "nonsense ${2%% *}x" ;;
	text) [ "$4" = 0 ] || printf 'x%.0s' $(seq 0 "$4") ;;
	esac
}
while IFS=$'\t' read -r what verb action of name kind value values min max; do
	[ "$values" != - ] || values=
	of_action=; [ "$action" = - ] || of_action=" $action"
	help_of "$verb$of_action"
	line "$verb" "$action"
	case $what in
	command)
		mentions "kvmbus help" "$($K help)" "$verb"
		[ "$($K "$verb" --help)" = "$($K help "$verb")" ] || err "$verb --help is not kvmbus help $verb"
		[ "$($K "$verb" -h)" = "$($K help "$verb")" ] || err "$verb -h is not kvmbus help $verb"
		mentions "the manual" "$man" "${L[0]}${of_action:+ VM}$of_action"
		completes "$verb" "${verb:0:1}"
		[ "$action" = - ] || { completes "$action" "$verb" ghost ""; [ "$($K "$verb" ghost "$action" --help)" = "${HELP["$verb$of_action"]}" ] || err "$verb VM $action --help"; }
		if [ "$verb" = ssh ]; then # what follows is ssh's
			one 3 'no VM "ghost"' $K ssh ghost --no-such-option one two three four
		else
			one 2 'unknown option' $K "${L[@]}" --no-such-option
			one 2 '[Uu]nexpected word|has no action' $K "${L[@]}" one two three four
		fi
		;;
	word)
		mentions "help $verb$of_action" "${HELP["$verb$of_action"]}" "$name"
		# the words before it and no more
		i=${DONE[$verb$of_action]:-0}; DONE[$verb$of_action]=$((i + 1))
		before=$((i + 1)); [ "$action" = - ] || [ $i = 0 ] || before=$((i + 2))
		missing='is missing'; [ "$kind" != vm ] || missing='which VM'
		[ "$of" = optional ] || one 2 "$missing" $K "${L[@]:0:before}"
		for w in $(wrong "$kind" "$values" "$min" "$max"); do
			[ "${L[i + 2]+x}" ] && { L2=("${L[@]}"); L2[i + 2]=$w; } || L2=("${L[@]}" "$w")
			[[ $w == -* ]] || one 2 "$name" $K "${L2[@]}"
		done
		;;
	option)
		mentions "help $verb$of_action" "${HELP["$verb$of_action"]}" "--$name"
		mentions "the manual" "$man" "--$name"
		mid=${L[*]:1}
		completes "--$name" "$verb" $mid "--${name:0:2}"
		if [ "$kind" = flag ]; then
			one 2 'takes no value' $K "${L[@]}" "--$name=x"
		else
			one 2 'needs a value' $K "${L[@]}" "--$name"
			[ "$name" = append ] || one 2 "$name" $K "${L[@]}" "--$name" ''
			for w in $(wrong "$kind" "$values" "$min" "$max"); do
				one 2 "$name" $K "${L[@]}" "--$name=$w"; one 2 "$name" $K "${L[@]}" "--$name" "$w"
			done
			for w in $values; do completes "${w}" "$verb" $mid "--$name" ""; completes "--$name=$w" "$verb" $mid "--$name="; done
		fi
		short=${name:0:${#name}-1} # never abbreviated
		[[ ${HELP["$verb$of_action"]} == *"--$short "* ]] || one 2 'unknown option' $K "${L[@]}" "--$short"
		;;
	first)
		mentions "help $verb$of_action" "${HELP["$verb$of_action"]}" "$name"
		mentions "the manual" "$man" "$name"
		;;
	sub)
		mentions "help $verb$of_action" "${HELP["$verb$of_action"]}" "  $name"
		mentions "the manual" "$man" "$name"
		[ -z "${DONE[$verb$of_action$of$name]:-}" ] || continue
		DONE[$verb$of_action$of$name]=1
		first=f; [[ $of != *nic* && $of != KIND* ]] || first=user; [ "$of" != memory ] || first=1G
		eq==; [ "$kind" != flag ] || eq=
		if [ "$verb" = run ]; then pre=(run --kernel x "--$of"); else pre=("${L[@]:0:${#L[@]} - 1}"); fi
		completes "$first,$name$eq" "${pre[@]}" "$first,"
		if [ "$kind" = flag ]; then
			one 2 "bad option" $K "${pre[@]}" "$first,$name=1"
		else
			one 2 "bad option" $K "${pre[@]}" "$first,$name"
			one 2 "bad option" $K "${pre[@]}" "$first,$name="
			for w in $(wrong "$kind" "$values" "$min" "$max"); do one 2 "bad option.*$name" $K "${pre[@]}" "$first,$name=$w"; done
			for w in $values; do completes "$first,$name=$w" "${pre[@]}" "$first,$name="; done
		fi
		one 2 'bad option' $K "${pre[@]}" "$first,${name}x=1"
		;;
	*) err "unknown row $what" ;;
	esac
done < <($K __table)
# the shells: bash takes words apart at = and :, and replaces the last part only
compopt() { :; }
bash_completes() { # LINE WORD...
	local line=$1; shift; n=$((n + 1))
	COMP_LINE=$line COMP_POINT=${#line}; _kvmbus
	[ "${COMPREPLY[*]}" = "$*" ] || err "bash completes \"$line\" to: ${COMPREPLY[*]}"
}
. completion/kvmbus.bash
kvmbus() { command "$KVMBUS" "$@"; }; KVMBUS=$K
bash_completes "kvmbus sto" stop
bash_completes "kvmbus run --kern" --kernel
bash_completes "kvmbus run --kernel=Makef" Makefile
bash_completes "kvmbus run --disk a.img,ro,form" a.img,ro,format=
bash_completes "kvmbus run --disk=a.img,ro,form" a.img,ro,format=
bash_completes "kvmbus run --disk a.img,cache=" writeback none writethrough
bash_completes "kvmbus run --disk a.img,backing=Makef" Makefile
bash_completes "kvmbus run --nic user,vl" user,vlan=
bash_completes "kvmbus nic vm ad" add
[ $n -gt 500 ] || err "only $n cases: no table?"
[ -z "$(ls -A "$W/kvmbus" 2>/dev/null)" ] || err "something was started"
[ $bad = 0 ] && echo "ok cli-table ($n cases)"
exit $bad
