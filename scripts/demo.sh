#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make demo: boot a stock kernel in QEMU, with real programs in it, load uksm, and show what happens. K=6.1 or any other
# kernel of kernel.sh; MEM and CPUS as QEMU takes them. demo/show.c is what runs in the guest.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/suite.sh
. "$top/scripts/suite.sh"

kernel=${K:-6.12}
[ "${kernel%-arm64}" = "$kernel" ] || die "the demo is for x86-64 kernels: its programs are this machine's"
timeout=${DEMO_TIMEOUT:-600}
image=$cache/demo/$host_suite.ext4

# The programs' world, from this machine's packages, without the packages' scripts: only what lies there is needed.
make_image() {
	local part main security size sources
	"$top/scripts/deps.sh" suite demo
	main=$(mirror_of "$host_suite")
	security=$(mirror_of "$host_suite-security")
	[ -n "$main" ] || die "apt's configuration names no mirror for $host_suite"
	sources=("deb $main $host_suite main")
	[ -z "$security" ] || sources+=("deb $security $host_suite-security main")
	say "making a disk with Python and bash in $image"
	mkdir -p "$cache/demo"
	part=$(mktemp -d "$cache/demo/.XXXXXX")
	# shellcheck disable=SC2064  # now
	trap "as_root rm -rf '$part'" EXIT
	as_root mmdebstrap -q --variant=extract --include=python3,bash,bash-completion,coreutils \
		"$host_suite" "$part/root" "${sources[@]}"
	as_root chroot "$part/root" /usr/bin/python3 -m compileall -q /usr/lib/python3 /usr/lib/python3.* >/dev/null || true
	as_root mkdir -p "$part/root/worker"
	size=$(as_root du -sm "$part/root" | cut -f 1)
	quietly as_root mke2fs -q -t ext4 -O '^has_journal' -d "$part/root" "$part/image" $((size * 5 / 4 + 40))M
	as_root chmod 644 "$part/image"
	as_root mv "$part/image" "$image"
}

"$top/scripts/deps.sh" vm
vm=$("$top/scripts/kernel.sh" "$kernel")
ko=$("$top/scripts/build-module.sh" "$kernel")
initramfs=$("$top/tests/vm/initramfs.sh" "$kernel")
(
	lock demo-image
	[ -e "$image" ] || make_image
)
run=$(mktemp -d "$cache/logs/$kernel-demo.XXXX")
mkdir -p "$run/over/tests" "$run/over/worker"
quietly gcc -std=gnu11 -O2 -Wall -Wextra -Werror -static -o "$run/over/tests/show" "$top/demo/show.c"
cp "$ko" "$run/over/uksm.ko"
cp "$top"/demo/worker.* "$run/over/worker/"

live=plain
[ ! -t 1 ] || live=live
word="uksm-demo-$RANDOM$RANDOM$RANDOM-done"
{
	printf '%s=%q\n' test show args "$live" load no bad "$bad" word "$word"
	printf '%s=%q\n' modules "virtio_pci virtio_blk ext4"
} >"$run/over/vm.conf"
{
	cat "$initramfs"
	(cd "$run/over" && find . -mindepth 1 -print0 | cpio --quiet -0 -o -H newc -R 0:0)
} >"$run/initrd"

say "booting Linux $(cat "$vm/release") in QEMU"
touch "$run/out"
timeout --foreground -k 5 "$timeout" qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
	-accel tcg,thread=multi -cpu max -smp "${CPUS:-2}" -m "${MEM:-2G}" -kernel "$vm/vmlinuz" -initrd "$run/initrd" \
	-drive "file=$image,if=virtio,format=raw,readonly=on" -serial "file:$run/console" -serial stdio \
	-append "console=ttyS0 loglevel=5 panic_on_warn=1 oops=panic panic=-1 watchdog_thresh=30
		rcupdate.rcu_cpu_stall_timeout=60 workqueue.watchdog_thresh=0" 2>"$run/qemu" </dev/null |
	tee "$run/out" | sed -u "/^$word/d; /^# vm:/d; /^# init$/d" || true

if tail -n 1 "$run/out" | grep -qxF -- "$word" && ! grep -qE "$bad" "$run/console"; then
	rm -rf "$run"
	exit 0
fi
say "FAILED: $(grep -m 1 '^# vm:' "$run/out" || echo "the guest did not finish"); see $run"
{ grep -m 1 -B 5 -A 40 -E "$bad|Kernel panic" "$run/console" || tail -n 20 "$run/console" "$run/qemu"; } >&2
exit 1
