#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: scripts/check.sh [STEP...]
# make check: each step prints one line, and what it found. All steps run, even after one that failed.
#   CHECK_KERNELS   built with W=1 and under sparse, default "6.1 6.12"
# shellcheck disable=SC2317  # the steps are called by name

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/suite.sh
. "$top/scripts/suite.sh"

kernels=${CHECK_KERNELS:-6.1 6.12}
cd "$top"
"$top/scripts/deps.sh" build check

kernel_code() { find src include dkms -name '*.[ch]'; }
scripts() { git ls-files -co --exclude-standard | xargs grep -lsE '^(#!/bin/(ba)?sh|# shellcheck shell)'; }

step_whitespace() { git diff --check "$(git hash-object -t tree /dev/null)"; }

step_shellcheck() { scripts | xargs shellcheck -x; }

step_format() { kernel_code | xargs clang-format --dry-run -Werror; }

# checkpatch and the semantic patches are in the kernel's source, not in its headers. What is ignored, and why:
checkpatch_ignored=(
	# about patches, and modules in the kernel's tree
	FILE_PATH_CHANGES EMAIL_SUBJECT LINUX_VERSION_CODE
	# a list that is kept once and expanded in several ways (settings, counts, symbols): macros that are no expressions
	COMPLEX_MACRO MULTISTATEMENT_MACRO_USE_DO_WHILE TRAILING_SEMICOLON MACRO_ARG_UNUSED MACRO_ARG_REUSE
	# where lines are broken and how they are indented is up to clang-format, which does it otherwise
	OPEN_ENDED_LINE CODE_INDENT LEADING_SPACE
	# wants a comment at each local pointer to a lock; what a lock is for is said where it is declared
	UNCOMMENTED_DEFINITION
)
step_checkpatch() {
	local t
	t=$(linux_source 6.12)
	# shellcheck disable=SC2046  # a list of files
	"$t/scripts/checkpatch.pl" --no-tree --strict --terse --show-types --no-summary --max-line-length=100 \
		--ignore "$(IFS=, && echo "${checkpatch_ignored[*]}")" -f $(kernel_code)
}

# All differences between kernels are in compat.h and Kbuild, and Kbuild asks the headers. Nothing else may ask for a
# version, by any of its names, nor for what Kbuild found. Lines that are continued are looked at as one.
step_versions() {
	local names='LINUX_VERSION|KERNEL_VERSION|KERNELVERSION|KERNELRELEASE|PATCHLEVEL|SUBLEVEL|VERMAGIC|vermagic|UTS_|uts(name|release)'
	names+='|linux(_proc)?_banner|linux/version|<generated/|(RHEL|SUSE|UBUNTU|DEBIAN)_[A-Z]|__has_include|\$\(VERSION\)|uname'
	find src include Kbuild -type f \( -name '*.[chS]' -o -name Kbuild \) ! -path include/uksm/compat.h | while read -r f; do
		sed -e ':more' -e '/\\$/{N' -e 's/\\\n//' -e 'b more' -e '}' "$f" | grep -nE "$names" | sed "s|^|$f: |" || true
		case $f in src/*) ! grep -nH UKSM_HAVE_ "$f" ;; esac || true
	done | awk '{ print } END { exit NR > 0 }'
}

step_warnings() {
	local k ko
	for k in $kernels; do
		ko=$("$top/scripts/build-module.sh" "$k" W=1) || return 1
		"$top/scripts/check-indirect.sh" "$ko" || return 1
	done
}

# What binds is known to bind: by the tool that says so of other kernels.
step_symbols() {
	local k
	for k in $kernels; do
		"$top/scripts/check-symbols" "$k" || return 1
	done
}

# Without its lock contexts: it cannot follow a lock that is only taken at times (a page table's, which may be
# gone), and the headers of 7.x have none any more. Lockdep watches the locks, in the debug kernel.
step_sparse() {
	local k ko
	for k in $kernels; do
		ko=$("$top/scripts/build-module.sh" "$k" C=2 CF=-Wno-context) || return 1
		grep -q '^ *CHECK ' "${ko%/*}/build.log" || { echo "sparse did not run: the headers of $k lack what it needs"; return 1; }
	done
}

# Those of the kernel's semantic patches that have a report; a few want an OCaml compiler.
step_coccinelle() {
	local t out
	t=$(linux_source 6.12)
	# shellcheck disable=SC2016  # the inner shell expands it
	out=$(grep -rl --include='*.cocci' 'virtual report' "$t/scripts/coccinelle" | xargs grep -L 'script:ocaml' |
		xargs -P "$(nproc)" -I{} sh -c 'spatch --very-quiet --no-show-diff -D report --include-headers \
			--cocci-file "$1" --dir src 2>/dev/null || echo "spatch failed: $1"' sh {})
	[ -z "$out" ] || { echo "$out"; return 1; }
}

# One version: DKMS's, the module's, the Debian package's.
step_version() {
	local dkms module
	dkms=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
	module=$(sed -nE 's/^#define UKSM_VERSION "(.*)"/\1/p' src/uksm.h)
	[ "$dkms" = "$module" ] || { echo "dkms.conf says '$dkms', UKSM_VERSION '$module'"; return 1; }
	grep -qxF 'MODULE_VERSION(UKSM_VERSION);' src/main.c || { echo "MODULE_VERSION is not UKSM_VERSION"; return 1; }
	if [ -e debian/changelog ]; then
		grep -qE "^[a-z-]+ \($dkms(-[0-9.]+)?\)" debian/changelog || { echo "debian/changelog has not $dkms"; return 1; }
	fi
}

failed=0
[ $# -gt 0 ] || set -- whitespace shellcheck format checkpatch versions version warnings symbols sparse coccinelle
for s; do
	if out=$("step_$s" 2>&1); then
		echo "$s: ok${out:+ ($(tail -n 1 <<<"$out"))}"
	else
		failed=1
		echo "$s: FAILED"
		printf '%s\n' "$out" | sed 's/^/    /'
	fi
done
exit $failed
