#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: tests/vm/initramfs.sh KERNEL
# Print the path of the initramfs that all tests of a kernel have in common: busybox, init, and those of the kernel's
# modules that tests use. guest.sh appends an archive of what differs.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

modules="virtio_pci virtio_blk virtio_console virtio_mem virtio_balloon zram lzo lzo_rle lz4 zstd loop ext4
	kvm_amd kvm_intel hwpoison_inject test_hmm"

kernel=$1
dir=$("$top/scripts/kernel.sh" "$kernel")
release=$(cat "$dir/release")
kernel=${dir##*/} # one archive, whatever name it was asked for by
out=$work/initramfs-$kernel.cpio
init=$top/tests/vm/init

lock "initramfs-$kernel-${work##*/}"
if ! [ "$out" -nt "$dir/release" ] || ! [ "$out" -nt "$init" ] || ! [ "$out" -nt "$0" ]; then
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	mkdir -p "$tmp"/{bin,dev,proc,sys,tmp,run,tests}
	if [ -e "$dir/busybox" ]; then # another architecture's
		cp "$dir/busybox" "$tmp/bin/"
	else
		cp "$(command -v busybox)" "$tmp/bin/busybox"
	fi
	ln -s bin "$tmp/sbin"
	busybox --list | while read -r applet; do
		[ "$applet" = busybox ] || ln -s busybox "$tmp/bin/$applet"
	done
	cp "$init" "$tmp/init"

	for m in $modules; do
		# what is built in, or not there at all, prints no file
		{ modprobe -d "$dir" -S "$release" --show-depends "$m" 2>/dev/null || true; } |
			sed -n "s|^insmod $dir/\([^ ]*\).*|\1|p"
	done | sort -u | while read -r file; do
		mkdir -p "$tmp/${file%/*}"
		case $file in
		*.xz) xz -dc "$dir/$file" >"$tmp/${file%.xz}" ;;
		*.zst) zstd -qdc "$dir/$file" >"$tmp/${file%.zst}" ;;
		*) cp "$dir/$file" "$tmp/$file" ;;
		esac
	done
	mkdir -p "$tmp/lib/modules/$release"
	cp "$dir/lib/modules/$release"/modules.{builtin,order} "$tmp/lib/modules/$release/"
	[ ! -e "$dir/lib/modules/$release/modules.builtin.modinfo" ] ||
		cp "$dir/lib/modules/$release/modules.builtin.modinfo" "$tmp/lib/modules/$release/"
	depmod -b "$tmp" "$release"

	(cd "$tmp" && find . -mindepth 1 -print0 | cpio --quiet -0 -o -H newc -R 0:0) >"$out.new"
	mv "$out.new" "$out"
fi
echo "$out"
