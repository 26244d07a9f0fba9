#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: scripts/refusals.sh [CASE...]
# Boot a stock kernel (K=, default 6.12) with one thing about it changed in its image: a symbol that is gone, a function
# with another prototype, one that takes no kprobe. The module must refuse each with one line that says so and leave
# nothing behind; scripts/check-symbols must have said so before. The last line is "N passed, N failed".

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

kernel=${K:-6.12}
# a name; what check-symbols ends with; the changes; what the module's line has to say (nothing: it loads)
cases() {
	cat <<-'END'
		healthy    0 -                                           |
		function   1 hide=folio_free_swap                        | lacks: folio_free_swap (to free the slot of a merged page).
		datum      1 hide=ksm_run                                | lacks: ksm_run (to see whether ksmd runs).
		two        1 hide=folio_free_swap hide=mm_kobj           | lacks: folio_free_swap (to free the slot of a merged page) mm_kobj (to
		lookup     1 hide=kallsyms_lookup_name                   | lacks: kallsyms_lookup_name (to find all others).
		prototype  1 proto=folio_free_swap,lru_add_drain_all     | folio_free_swap() as void(void), not bool(struct folio *);
		kprobes    0 move=kallsyms_lookup_name,exc_int3          | this kernel refuses kprobes
		hook       0 move=rmap_walk_ksm,exc_int3                 | cannot hook rmap_walk_ksm
		hook2      0 move=folio_migrate_ksm,exc_int3             | cannot hook folio_migrate_ksm
	END
}

"$top/scripts/deps.sh" vm symbols
dir=$("$top/scripts/kernel.sh" "$kernel")
make -s -C "$top/tools" OUT="$(mkdir -p "$work/tools" && echo "$work/tools")"
image=$work/refusals-$kernel.vmlinux
trap 'rm -f "$image"' EXIT

# try NAME EXIT_CODE CHANGES WORDS
try() {
	local rc=0 out changes=()
	[ "$3" = - ] || read -ra changes <<<"$3"
	"$work/tools/doctor" "$dir/vmlinuz" "$image" "${changes[@]}" || return
	out=$("$top/scripts/check-symbols" "$image") || rc=$?
	[ "$rc" = "$2" ] || { echo "check-symbols ended with $rc: $out"; return 1; }
	echo "    check-symbols: $(tail -n 1 <<<"$out")"
	out=$("$top/tests/vm/run.sh" -k "$kernel" -q "-kernel $image" -e "UKSM_REFUSED=$4" --full-log refused 2>&1 </dev/null) ||
		{ tail -n 40 <<<"$out"; return 1; }
	grep -q '^1 passed, 0 failed$' <<<"$out" || { tail -n 3 <<<"$out"; return 1; }
	sed -n 's/^# load: /    load: /p' <<<"$out"
}

passed=0 failed=0
while IFS='|' read -r what words; do
	read -r name rc changes <<<"$what"
	[ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
	echo "$name: $changes"
	if try "$name" "$rc" "$changes" "${words# }"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "    FAILED"
	fi
done < <(cases)
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
