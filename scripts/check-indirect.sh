#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: scripts/check-indirect.sh uksm.ko
# Prove that the module calls nothing through a pointer, but for what scripts/indirect.allow names. A looked-up address
# has no ENDBR where indirect branch tracking wants one, so it may only be called directly, by a static call. That is a
# matter of x86: on arm64, where the kernel has no static calls, they are calls through a pointer.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

ko=${1:?usage: check-indirect.sh uksm.ko}
if [ "$(od -An -tu2 -j18 -N2 "$ko")" -ne 62 ]; then # the machine, in the ELF header
	echo "not built for x86-64: nothing to check"
	exit
fi
allow=$top/scripts/indirect.allow

# A retpoline is a call of __x86_indirect_thunk_REG, known by its relocation. pv_ops is the kernel's own table, whose
# calls it patches to direct ones.
objdump -dr --no-show-raw-insn "$ko" | awk -v allow="$allow" '
	BEGIN {
		while ((getline line <allow) > 0)
			if (line !~ /^(#|$)/) {
				split(line, word, " ")
				ok[word[1]] = 1
			}
	}
	function flush() {
		if (bad == "" || target ~ /^pv_ops/)
			;
		else if (fn in ok)
			seen[fn] = 1
		else {
			print "indirect call in " fn ": " bad
			wrong++
		}
		bad = ""
		target = ""
	}
	/^[0-9a-f]+ <.*>:$/ {
		flush()
		fn = $2
		gsub(/[<>:]/, "", fn)
		next
	}
	/R_X86_64/ {
		target = $3
		if (target ~ /^__x86_indirect_/)
			bad = target
		if (target ~ /^__SCT__uksm_/)
			static_calls++
		next
	}
	{ flush() }
	/(call|jmp) +\*|notrack/ { bad = $0; sub(/^[ \t]+/, "", bad) }
	END {
		flush()
		if (!static_calls) {
			print "found no static call at all: is this uksm.ko?"
			wrong++
		}
		for (fn in ok)
			if (!(fn in seen)) {
				print allow " names " fn ", which has no indirect call"
				wrong++
			}
		if (!wrong)
			print static_calls " static calls, no indirect call of a looked-up address"
		exit wrong > 0
	}' || exit 1
