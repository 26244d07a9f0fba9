#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: scripts/refused-builds.sh [CASE...]
# Build the module with headers that differ from a stock kernel's (K=, default 6.12) in one thing. Each build must end
# with one error, which says what is wrong in words, and scripts/check-symbols must say the same. The last line is
# "N passed, N failed".

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/suite.sh
. "$top/scripts/suite.sh"

# a name; the files of the headers; what sed does to them; what the error has to say
cases() {
	cat <<-'END'
		prototype | include/linux/swap.h | s/\bfolio_free_swap\(struct folio \*folio\)/folio_free_swap(struct folio *folio, int how)/ | headers folio_free_swap() is not bool(struct folio *): get a newer uksm
		type      | include/linux/swap.h | s/^(extern )?void lru_add_drain_all/int lru_add_drain_all/ | headers lru_add_drain_all() is not void(void): get a newer uksm
		function  | include/linux/ksm.h   | s/\bfolio_migrate_ksm\b/folio_move_ksm/ | headers do not have folio_migrate_ksm() (to follow a frame that moves): get a newer uksm
		rmap      | include/linux/rmap.h  | s/\bfolio_add_anon_rmap_ptes\b/anon_rmap_add/ | headers do not have page_add_anon_rmap() (to map a frame): get a newer uksm
		flush     | arch/x86/include/asm/tlbflush.h | s/\bunsigned int stride_shift/int stride_shift/ | uksm is too old: flush_tlb_mm_range() is another here; see docs
		option    | include/generated/autoconf.h | s/^#define CONFIG_KSM 1// | uksm needs CONFIG_KSM
		old       | include/generated/uapi/linux/version.h | s/^#define LINUX_VERSION_CODE .*/#define LINUX_VERSION_CODE 331520/ | uksm needs Linux 6.1 or newer
	END
}

kernel=${K:-6.12}
"$top/scripts/deps.sh" build symbols
dir=$("$top/scripts/kernel.sh" "$kernel")
suite=$(cat "$dir/suite")
root=$(suite_root "$suite")
kdir=$root$(cat "$dir/kdir")
common=$root$(sed -n 's|^include \(/.*\)/Makefile$|\1|p' "$kdir/Makefile")
[ "$common" != "$root" ] || die "$kernel has its headers in one directory; this is for those of packages"
mkdir -p "$work"
tmp=$(mktemp -d "$work/refused-builds.XXXX") # where a chroot sees it
trap 'rm -rf "$tmp"' EXIT

# What is not changed is linked to.
copy_headers() {
	rm -rf "$tmp"/{common,flavour,module}
	mkdir "$tmp/module"
	cp -as "$common" "$tmp/common"
	cp -as "$kdir" "$tmp/flavour"
	rm "$tmp/flavour/Makefile" "$tmp/flavour"/{scripts,tools}
	echo "include $tmp/common/Makefile" >"$tmp/flavour/Makefile"
	ln -s "$(realpath "$kdir/scripts")" "$tmp/flavour/scripts"
	ln -s "$(realpath "$kdir/tools")" "$tmp/flavour/tools"
	(cd "$top" && find Kbuild src include \( -name Kbuild -o -name '*.[ch]' \) ! -name '*.mod.c' \
		-exec cp --parents -t "$tmp/module" {} +)
}

# change FILES SED: in whichever of the two directories has them; something must have changed
change() {
	local f changed=
	for f in "$tmp"/common/$1 "$tmp"/flavour/$1; do
		[ -e "$f" ] || continue
		sed -E "$2" "$f" >"$tmp/changed" || return
		! cmp -s "$tmp/changed" "$f" || continue
		rm "$f"
		cp "$tmp/changed" "$f"
		changed=1
	done
	[ -n "$changed" ] || { echo "    the headers have no such thing to change"; return 1; }
}

# try FILES SED WORDS
try() {
	local log=$tmp/log out
	copy_headers
	[ -z "$1" ] || change "$1" "$2" || return 1
	if in_suite "$suite" make -C "$tmp/flavour" M="$tmp/module" modules >"$log" 2>&1 </dev/null; then
		echo "    it builds"
		[ -z "$3" ]
		return
	fi
	grep 'error:' "$log" | sed "s|$tmp/||g; s|^|    |"
	if [ "$(grep -c 'error:' "$log")" != 1 ] || ! grep 'error:' "$log" | grep -qF -- "$3"; then
		tail -n 30 "$log"
		return 1
	fi
	out=$("$top/scripts/check-symbols" -H "$tmp/flavour" "$dir/vmlinuz") && { echo "    check-symbols: $out"; return 1; }
	grep -qF -- "$3" <<<"$out" || { echo "    check-symbols: $out"; return 1; }
}

passed=0 failed=0
while IFS='|' read -r name files change words; do
	name=${name%% *}
	files=${files// /}
	[ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
	change=${change# } words=${words# }
	echo "$name: ${change% }"
	if try "$files" "${change% }" "${words% }"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "    FAILED"
	fi
done < <(echo "unchanged"; cases)
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
