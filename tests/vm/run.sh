#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: tests/vm/run.sh [options] [TEST...]
# Run tests of tests/guest, each in a guest of its own that boots an unmodified kernel with uksm loaded. If none is
# named, all but those marked "manual"; the TEST "shell" is an interactive guest.
#   -k KERNELS   which (see scripts/kernel.sh), default 6.12; several as one word: -k "6.1 6.12"
#   -j N         guests at a time, default 1
#   -m MiB, -s CPUS, -T SECONDS, -a APPEND, -q QEMU_OPTIONS     instead of, or added to, what the test asks for
#   -e NAME=VALUE  for the test's environment
#   -d VARIABLES   for the build of the module, such as "UKSM_DEBUG=1"
#   -i, -w         time is a count of instructions (see "icount" in guest.sh), or it is not
#   -l             print what the test says as it says it
#   -p PARAMS      parameters of the module, such as "scan_threads=4", added to what the test asks for
#   -n             do not build or load the module
#   -r DIR         keep there what each guest said, as KERNEL-TEST.ktap
#   -2             once more, and say so, where nothing failed but a check of a time, a count or a state
#   --full-log     print the whole log of the guest
# The last line is "N passed, N failed[, N skipped]", counted in KTAP cases.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"
# shellcheck source=scripts/arm64.sh
. "$top/scripts/arm64.sh"

kernels=6.12 jobs=1 variables='' keep=''
while getopts k:j:m:s:T:a:q:e:d:p:r:2ilnwh-: o; do
	case $o in
	k) kernels=$OPTARG ;;
	j) jobs=$OPTARG ;;
	m) opt_mem=$OPTARG ;;
	s) opt_smp=$OPTARG ;;
	T) opt_timeout=$OPTARG ;;
	a) opt_append=$OPTARG ;;
	q) opt_qemu=$OPTARG ;;
	e) opt_env="${opt_env:-} $(printf %q "$OPTARG")" ;;
	d) variables=$OPTARG ;;
	p) opt_params=$OPTARG ;;
	2) opt_twice=1 ;;
	i) opt_icount=yes ;;
	l) opt_live=1 ;;
	n) opt_noload=1 ;;
	w) opt_icount=no ;;
	r) keep=$OPTARG ;;
	-) [ "$OPTARG" = full-log ] || die "unknown option --$OPTARG"; opt_full=1 ;;
	h) sed -n '3,/^$/s/^# \?//p' "$0"; exit ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))

tests=()
for t; do
	t=${t##*/} t=${t%.c}
	[ "$t" = shell ] || [ -e "$top/tests/guest/$t.c" ] || [ -e "$top/tests/guest/$t" ] || die "no test named $t"
	tests+=("$t")
done
if [ ${#tests[@]} = 0 ]; then
	for f in "$top"/tests/guest/*.c "$top"/tests/guest/*.sh; do
		[ -e "$f" ] || continue
		t=$(basename "$f" .c)
		[ "${t#lib}" = "$t" ] || continue
		! grep -qE '^[/ ]*[*#/] *vm:.*\bmanual\b' "$f" || continue
		tests+=("$t")
	done
	[ ${#tests[@]} -gt 0 ] || die "there are no tests"
fi

# make_programs DIR [CROSS]
make_programs() {
	local t programs=()
	lock "programs-${work##*/}"
	mkdir -p "$1"
	for t in "${tests[@]}"; do
		[ "$t" = shell ] || [ "$t" != "${t%.sh}" ] || programs+=("$1/$t")
	done
	quietly make -s -j"$(nproc)" -f "$top/tests/vm/programs.mk" OUT="$1" CROSS="${2-}" "${programs[@]}"
}

"$top/scripts/deps.sh" vm
names=
for k in $kernels; do
	case $k in
	*-arm64)
		"$top/scripts/deps.sh" arm64
		(make_programs "$work/programs-arm64" "$arm_cross")
		;;
	*) (make_programs "$work/programs") ;;
	esac
	dir=$("$top/scripts/kernel.sh" "$k")
	case $k in newest* | second* | *-newest-* | *-second-*) k=${dir##*/} ;; esac # the same one in all of this run
	names="$names $k"
	if [ -z "${opt_noload:-}" ]; then
		# shellcheck disable=SC2086  # variables are words
		ko=$("$top/scripts/build-module.sh" "$k" $variables)
		export "ko_${k//[.-]/_}=$ko"
	fi
	"$top/tests/vm/initramfs.sh" "$k" >/dev/null
done
kernels=${names# }

export opt_mem opt_smp opt_params opt_append opt_qemu opt_timeout opt_env opt_noload opt_icount opt_live opt_full opt_twice results
if [ "${tests[0]}" = shell ]; then
	exec "$top/tests/vm/guest.sh" "${kernels%% *}" shell
fi

find "$cache/logs" -mindepth 1 -maxdepth 1 -mtime +2 -exec rm -rf {} +
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
for t in "${tests[@]}"; do
	for k in $kernels; do
		echo "$k $t"
	done
done | xargs -P "$jobs" -L 1 "$top/tests/vm/guest.sh" || true

# A guest that left no counts at all has failed as well.
[ -z "$keep" ] || find "$results" -name '*.ktap' -exec cp -t "$keep" {} +
find "$results" -name '*.ktap' -delete
ran=$(find "$results" -type f | wc -l)
expected=$((${#tests[@]} * $(wc -w <<<"$kernels")))
cat "$results"/* /dev/null 2>/dev/null | awk -v missing=$((expected - ran)) '
	{ passed += $1; failed += $2; skipped += $3 }
	END {
		failed += missing
		printf "%d passed, %d failed%s\n", passed, failed, skipped ? ", " skipped " skipped" : ""
		exit failed > 0 || passed == 0
	}' || exit 1
