# SPDX-License-Identifier: GPL-2.0-only
# bash completion of kvmbus
_kvmbus() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd=${COMP_WORDS[1]}
	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$(kvmbus __complete) --help --version" -- "$cur")
		return
	fi
	case $prev in
	--kernel|--initrd|--disk|--dvd|--control|insert) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	--cpu) mapfile -t COMPREPLY < <(compgen -W "host x86-64-v1 x86-64-v2 x86-64-v3 x86-64-v4" -- "$cur"); return ;;
	--nic) mapfile -t COMPREPLY < <(compgen -W "user tap= macvtap= bridge= none" -- "$cur"); return ;;
	--serial) mapfile -t COMPREPLY < <(compgen -W "stdio file= unix= none" -- "$cur"); return ;;
	--vmbus-max) mapfile -t COMPREPLY < <(compgen -W "0.13 1.1 2.4 3.0 4.0 4.1 5.0 5.1 5.2 5.3" -- "$cur"); return ;;
	--ic) mapfile -t COMPREPLY < <(compgen -W "heartbeat=off timesync=off shutdown=off" -- "$cur"); return ;;
	add) [ "$cmd" = nic ] && mapfile -t COMPREPLY < <(compgen -W "user tap= macvtap= bridge= none" -- "$cur") ||
		mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	esac
	if [ "$cmd" = run ]; then
		mapfile -t COMPREPLY < <(compgen -W "--name --cpus --memory --cpu --vmbus-max --kernel --initrd --append --disk --dvd --nic --ic \
			--serial --control --test-devices --no-reboot --verbose --json --help" -- "$cur")
	elif [ "$cmd" = disk ] && [ "$COMP_CWORD" = 3 ]; then
		mapfile -t COMPREPLY < <(compgen -W "list add remove resize eject insert limit" -- "$cur")
	elif [ "$cmd" = disk ] && [ "$COMP_CWORD" -gt 3 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$(kvmbus disk "${COMP_WORDS[2]}" list 2>/dev/null | cut -d' ' -f1) --json --dvd --force --iops --bps" -- "$cur")
	elif [ "$cmd" = nic ] && [ "$COMP_CWORD" = 3 ]; then
		mapfile -t COMPREPLY < <(compgen -W "list add remove link mtu" -- "$cur")
	elif [ "$cmd" = nic ] && [ "$COMP_CWORD" -gt 3 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$(kvmbus nic "${COMP_WORDS[2]}" list 2>/dev/null | cut -d' ' -f1) up down --json" -- "$cur")
	else
		local names
		names=$(kvmbus list 2>/dev/null | awk 'NR > 1 {print $1}')
		mapfile -t COMPREPLY < <(compgen -W "$names --json --reboot --timeout --watch" -- "$cur")
	fi
}
complete -F _kvmbus kvmbus
