#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: scripts/mutants.sh [MUTANT...]
# Plant one bug after the other (compile-time switches, UKSM_MUTANT_name in the source, all off) and see that the tests
# find each. tests/mutants has a line a mutant: its name, the kernel, and the tests to try, the likeliest first.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

list=$top/tests/mutants
planted=$(grep -rhoE 'UKSM_MUTANT_[A-Za-z0-9_]+' "$top/src" "$top/include" | sed 's/UKSM_MUTANT_//' | sort -u)
listed=$(grep -vE '^(#|$)' "$list" | awk '{ print $1 }' | sort)
[ "$planted" = "$listed" ] || die "the source has other mutants than $list: $(diff <(echo "$planted") <(echo "$listed"))"

caught=0 survived=0
while read -r mutant kernel tests; do
	[ $# = 0 ] || [[ " $* " == *" $mutant "* ]] || continue
	found=
	for t in $tests; do
		out=$("$top/tests/vm/run.sh" -k "$kernel" -d "UKSM_MUTANT=$mutant" "$t" 2>&1 </dev/null) && continue
		# it must have run: a mutant that does not build is not caught
		grep -qE "^$kernel $t: FAILED" <<<"$out" || die "$mutant: $t did not run: $(tail -n 5 <<<"$out")"
		found="$t ($(sed -nE "s/^$kernel $t: FAILED: (.*) \(.*/\1/p" <<<"$out"))"
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
