#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: scripts/mutants.sh [MUTANT...]
# Plant one bug after the other (compile-time switches, UKSM_MUTANT_name in the source, all off) and see that the tests
# find each. tests/mutants has a line a mutant: its name, the kernel, and the tests to try, the likeliest first. Only a
# test that passes without the mutant can find it, and only one that got as far as its cases.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

list=$top/tests/mutants
planted=$(grep -rhoE 'UKSM_MUTANT_[A-Za-z0-9_]+' "$top/src" "$top/include" | sed 's/UKSM_MUTANT_//' | sort -u)
listed=$(grep -vE '^(#|$)' "$list" | awk '{ print $1 }' | sort)
[ "$planted" = "$listed" ] || die "the source has other mutants than $list: $(diff <(echo "$planted") <(echo "$listed"))"

# run VARIABLES KERNEL TEST: what the test printed is in $out
run() {
	out=$("$top/tests/vm/run.sh" -k "$2" ${1:+-d "$1"} "$3" 2>&1 </dev/null)
}

# A test that fails of itself finds nothing.
declare -A sound
is_sound() {
	if [ -z "${sound[$1 $2]:-}" ]; then
		sound[$1 $2]=no
		! run "" "$1" "$2" || sound[$1 $2]=yes
	fi
	[ "${sound[$1 $2]}" = yes ] || { say "$1 $2 fails without a mutant: $(tail -n 1 <<<"$out")"; false; }
}

# What the failed test had to say. A guest that did not come up, a module that did not build or load, is no find.
finding() {
	local failed
	grep -qE "^$1 $2: FAILED" <<<"$out" && grep -qF '| KTAP version 1' <<<"$out" || return
	failed=$(sed -nE 's/^ *\| (not ok [0-9]+ .*)/\1/p' <<<"$out" | head -n 1)
	echo "${failed:-$(sed -nE "s/^$1 $2: FAILED: (.*) \(.*/\1/p" <<<"$out")}"
}

caught=0 survived=0
while read -r mutant kernel tests; do
	[ $# = 0 ] || [[ " $* " == *" $mutant "* ]] || continue
	found=
	for t in $tests; do
		is_sound "$kernel" "$t" || continue
		! run "UKSM_MUTANT=$mutant" "$kernel" "$t" || continue
		if ! why=$(finding "$kernel" "$t"); then # a machine that is too busy, perhaps
			! run "UKSM_MUTANT=$mutant" "$kernel" "$t" || continue
			why=$(finding "$kernel" "$t") || die "$mutant: $t did not run: $(tail -n 5 <<<"$out")"
		fi
		found="$t ($why)"
		break
	done
	if [ -n "$found" ]; then
		caught=$((caught + 1))
		echo "$mutant: caught by $found"
	else
		survived=$((survived + 1))
		echo "$mutant: NOT CAUGHT by $tests"
	fi
done < <(grep -vE '^(#|$)' "$list")
echo "$caught caught, $survived not caught"
[ $survived = 0 ] && [ $caught -gt 0 ]
