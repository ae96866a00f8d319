# SPDX-License-Identifier: GPL-2.0-only
# fish completion of kvmbus: `kvmbus __complete` knows what may be typed.
function __kvmbus_complete
	set -l words (commandline -opc) (commandline -ct)
	for line in ($words[1] __complete $words[2..] 2>/dev/null)
		set -l parts (string split \t -- $line)
		if test "$parts[1]" = :file
			set -l typed (string replace -- "$parts[2]" '' (commandline -ct))
			for file in $typed*
				echo "$parts[2]$file"
			end
		else
			echo $line
		end
	end
end
complete -c kvmbus -f -a '(__kvmbus_complete)'
