#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: scripts/dkms-upgrade.sh [SUITE...]
# make dkms-upgrade: what a user of Debian sees, in a full system each: bookworm, whose kernel goes from 6.1 to 6.12,
# and trixie, from 7.2 to 7.3. The package is installed under the old kernel, apt upgrades the kernel, DKMS must rebuild
# the module by itself; then both kernels are booted with systemd, from the disk, load, merge, give back and unload. In
# the last of the systems also what must not load it (nouksm, lockdown, Secure Boot), make install and what it says when
# it fails. Then a kernel that it does not build for, and the package's removal. Takes half an hour; the systems as they
# are before the package are kept in the cache. Each case is a line, the last line sums up: "N passed, N failed".

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/suite.sh
. "$top/scripts/suite.sh"

passed=0 failed=0 kept=0
row() { printf '%-9s %-30s %-44s %s\n' "$@"; }

# judge WHAT KERNEL DETAIL: $why is empty if it went well
judge() {
	if [ -z "$why" ]; then
		passed=$((passed + 1))
		row "$suite" "$2" "$1" "ok${3:+: $3}"
	else
		failed=$((failed + 1))
		row "$suite" "$2" "$1" "FAILED: $why"
	fi
}

# A command in the system that lies in the directory $root.
in_root() {
	# shellcheck disable=SC2016  # the inner shell expands these
	as_root env "root=$root" unshare -m --propagation private sh -c '
		mount -t proc proc "$root/proc"
		exec chroot "$root" "$@"' sh env -i HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive TERM=dumb \
		PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" </dev/null
}
in_root_apt() { in_root apt-get -q -y --no-install-recommends "$@"; }

# The newest release that the suite has of a series: old ones have no metapackage.
newest() {
	in_root apt-cache pkgnames "linux-image-$1." | sed -nE "s/^linux-image-(${1//./\\.}\..*-cloud-amd64)\$/\1/p" |
		sort -V | tail -n 1
}
kernels_of() { find "$1/lib/modules/" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -V; }

# The system before: a full Debian with the old kernel and its headers.
make_base() {
	local main security release part=$cache/upgrade/.$suite
	"$top/scripts/deps.sh" suite
	suite_mirrors
	say "making a Debian $suite in $base (some minutes)"
	mkdir -p "$cache/upgrade"
	as_root rm -rf "$part"
	set -- "deb $main $suite main" "deb $main $suite-updates main" "deb $main $suite-backports main"
	[ -z "$security" ] || set -- "$@" "deb $security $suite-security main"
	quietly as_root mmdebstrap -q --variant=minbase \
		--include=systemd-sysv,udev,dbus,kmod,dkms,openssl,initramfs-tools,zstd "$suite" "$part" "$@"
	as_root cp /etc/resolv.conf "$part/etc/"
	echo "/dev/vda / ext4 defaults 0 1" | as_root tee "$part/etc/fstab" >/dev/null
	root=$part
	quietly in_root apt-get -qq update
	if [ "$series" = 6.1 ]; then
		quietly in_root_apt install linux-image-cloud-amd64 linux-headers-cloud-amd64
	else
		release=$(newest "$series")
		[ -n "$release" ] || die "$suite has no kernel $series"
		quietly in_root_apt install -t "$suite-backports" "linux-image-$release" "linux-headers-$release"
	fi
	as_root mv -T "$part" "$base"
}

# What DKMS says of the module for a kernel.
dkms_state() { in_root dkms status uksm -k "$1" 2>/dev/null | sed -n 's/.*: //p'; }

install_package() {
	local log=$run/install
	why=
	as_root cp "$deb" "$root/root/uksm.deb"
	in_root_apt install /root/uksm.deb >"$log" 2>&1 || why="apt-get install failed, see $log"
	[ -n "$why" ] || [ "$(dkms_state "$old")" = installed ] || why="DKMS says '$(dkms_state "$old")', see $log"
	judge "the package is installed, DKMS builds" "$old"
}

upgrade_kernel() {
	local log=$run/upgrade
	why=
	quietly in_root apt-get -qq update
	in_root_apt install -t "$suite-backports" linux-image-cloud-amd64 linux-headers-cloud-amd64 >"$log" 2>&1 ||
		why="apt-get install failed, see $log"
	new=$(kernels_of "$root" | tail -n 1)
	[ -n "$why" ] || [ "$new" != "$old" ] || why="apt had no newer kernel, see $log"
	[ -n "$why" ] || [ "$(dkms_state "$new")" = installed ] || why="DKMS says '$(dkms_state "$new")', see $log"
	judge "apt upgrades the kernel, DKMS rebuilds" "$new"
}

make_disk() {
	local size
	echo "$bad" | as_root tee "$root/root/bad" >/dev/null
	as_root cp "$top/tests/upgrade/check.sh" "$root/root/"
	as_root cp "$top/tests/upgrade/uksm-check.service" "$root/etc/systemd/system/"
	quietly in_root systemctl enable uksm-check
	if [ "$suite" = "$last" ]; then
		as_root mkdir "$root/root/uksm"
		(cd "$top" && git ls-files -z -co --exclude-standard | as_root xargs -0 cp -P --parents -t "$root/root/uksm")
	fi
	in_root apt-get clean
	size=$(as_root du -sm "$root" | cut -f 1)
	quietly as_root mke2fs -q -t ext4 -d "$root" "$run/disk" "$((size * 5 / 4 + 300))M"
	as_root chmod 666 "$run/disk"
	as_root chmod 644 "$root"/boot/vmlinuz-* "$root"/boot/initrd.img-*
}

# boot KERNEL WHAT [OPTION...]: what check.sh found is in $run/found. Without cmpxchg16b: QEMU 7.2 gets it wrong now and
# then, and kernels from 6.12 on die of it in their allocator. $machine is more for QEMU, $image another kernel image.
machine=(-smp 2) image=
boot() {
	local kernel=$1 what=$2
	shift 2
	timeout -k 5 3600 qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -snapshot \
		-accel tcg,thread=multi -cpu max,-cx16 -m 1024 -drive "file=$run/disk,format=raw,if=virtio" \
		"${machine[@]}" -kernel "${image:-$root/boot/vmlinuz-$kernel}" -initrd "$root/boot/initrd.img-$kernel" \
		-serial "file:$run/console" -serial "file:$run/found" \
		-append "root=/dev/vda ro console=ttyS0 quiet systemd.show_status=0 panic=-1 check=$what $*" \
		</dev/null >"$run/qemu" 2>&1 || true
	why=
	if ! grep -qx "end=$what" "$run/found"; then
		why="the guest did not finish"
	elif [ "$(found kernel)" != "$kernel" ]; then
		why="it runs $(found kernel)"
	elif [ -n "$(found bad)" ]; then
		why="the kernel complained: $(found bad)"
	fi
	[ -z "$why" ] || why+=", see $run/$kernel-*"
}
found() { sed -n "s/^$1=//p" "$run/found"; }

# expect NAME VALUE...: of what was found, unless something went wrong before
expect() {
	while [ $# -gt 0 ]; do
		[ -n "$why" ] || [ "$(found "$1")" = "$2" ] || why="$1 is '$(found "$1")' and not '$2'"
		shift 2
	done
}

merge_on() {
	boot "$1" merge
	expect unit active loaded yes content rightrightrightright stopped inactive still no after rightrightrightright
	[ -n "$why" ] || [ "$(found sharing)" -ge $((3 * 4096)) ] || why="$(found sharing) pages merged"
	judge "boot, load, merge, unmerge, unload" "$1" "$(found sharing) pages saved by $(found shared)"
	keep "$1-merge"
}

not_loaded() {
	local title=$1 option=$2 unit=$3 said=$4
	boot "$new" look "$option"
	expect unit "$unit" loaded no
	[ -n "$why" ] || grep -qE "$said" <<<"$(found said)" || why="it says '$(found said)'"
	judge "$title" "$new" "$(found said)"
	keep "$new-${option%%=*}-refused"
}

# Firmware whose only keys are those that ovmf brings, and a kernel that is signed with one of them. It does not know
# DKMS's key; the module is refused. Then it is signed with one that is enrolled.
secure_boot() {
	local code=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd cert=/usr/share/ovmf/PkKek-1-snakeoil.pem key=$run/key
	local dir=/usr/lib/modules/$new/updates/dkms
	"$top/scripts/deps.sh" secureboot
	cp /usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd "$run/vars"
	quietly openssl rsa -passin pass:snakeoil -in "${cert%.pem}.key" -out "$key"
	image=$run/vmlinuz
	quietly sbsign --key "$key" --cert "$cert" --output "$image" "$root/boot/vmlinuz-$new"
	machine=(-M "q35,smm=on" -smp 1 -global "driver=cfi.pflash01,property=secure,value=on"
		-drive "if=pflash,format=raw,unit=0,readonly=on,file=$code" -drive "if=pflash,format=raw,unit=1,file=$run/vars")
	not_loaded "Secure Boot, a key that is not enrolled" "" failed 'Secure Boot is on, .* is not enrolled: mokutil'

	as_root cp "$key" "$root/root/key"
	as_root cp "$cert" "$root/root/cert"
	# shellcheck disable=SC2016  # the inner shell expands these
	quietly in_root sh -c 'cd /root && xz -dc "$1/uksm.ko.xz" >uksm.ko &&
		"/lib/modules/$2/build/scripts/sign-file" sha256 key cert uksm.ko && xz -f --check=crc32 uksm.ko' sh "$dir" "$new"
	printf '%s\n' "cd $dir" "rm uksm.ko.xz" "write $root/root/uksm.ko.xz uksm.ko.xz" >"$run/edit"
	quietly debugfs -w -f "$run/edit" "$run/disk"
	boot "$new" look
	expect unit active loaded yes
	judge "Secure Boot, a key that is enrolled" "$new"
	keep "$new-secure-boot"
	machine=(-smp 2) image=
}

# The package is purged while it runs, then make install and make uninstall, on a machine that reaches no archive.
from_source() {
	boot "$new" install
	expect unit active loaded yes purged no
	judge "the package is purged while it runs" "$new"
	[ -n "$why" ] || grep -q 'headers .* are missing' <<<"$(found noheaders)" || why="it says '$(found noheaders)'"
	judge "make install without headers" "$new" "$(found noheaders)"
	why=
	grep -q 'does not build .*: planted; .*make.log' <<<"$(found nobuild)" || why="it says '$(found nobuild)'"
	judge "make install, the build fails" "$new" "$(found nobuild)"
	why=
	expect installed active runs yes
	judge "make install" "$new" "$(found install)"
	why=
	expect uninstall "uksm is gone" gone no left ""
	judge "make uninstall" "$new" "$(found uninstall)"
	keep "$new-install"
}

# What a boot left, if a case of it failed.
keep() {
	local f
	for f in console found qemu; do
		[ $failed = $kept ] || cp "$run/$f" "$run/$1-$f"
		rm -f "$run/$f"
	done
	kept=$failed
}

# A kernel that uksm does not build for: apt goes on, and says so.
unknown_kernel() {
	local log=$run/unknown line="uksm does not know this kernel (planted)" version
	why=
	version=$(in_root dkms status uksm 2>/dev/null | sed -nE 's|^uksm[/, ]+([^,: ]+).*|\1|p' | head -n 1)
	as_root sed -i "/^#define UKSM_COMPAT_H/a #error \"$line\"" "$root/usr/src/uksm-$version/include/uksm/compat.h"
	quietly in_root dkms remove "uksm/$version" -k "$new"
	in_root dkms build "uksm/$version" -k "$new" >"$log-by-hand" 2>&1 && why="dkms build found nothing wrong"
	[ -n "$why" ] || in_root_apt install --reinstall "linux-headers-$new" >"$log" 2>&1 || why="apt-get failed, see $log"
	[ -n "$why" ] || grep -q "^uksm: it does not build for Linux $new.*: $line" "$log" || why="it does not say so, see $log"
	# shellcheck disable=SC2016  # dpkg-query expands it
	[ -n "$why" ] || [ "$(in_root dpkg-query -W -f='${db:Status-Status}' "linux-headers-$new")" = installed ] ||
		why="the headers package is half installed, see $log"
	judge "a kernel it does not build for: apt goes on" "$new"
}

remove_package() {
	local log=$run/remove left
	why=
	in_root_apt purge uksm-dkms >"$log" 2>&1 || why="apt-get purge failed, see $log"
	left=$(cd "$root" && as_root find etc lib/modules usr/lib usr/share/doc usr/src var/lib/dkms -name '*uksm*' \
		! -name 'uksm-check*')
	[ -n "$why" ] || [ -z "$left" ] || why="left behind: ${left//$'\n'/ }"
	judge "the package is purged" ""
}

suite_run() {
	suite=$1 series=$2
	base=$cache/upgrade/$suite run=$work/upgrade-$suite
	lock "upgrade-$suite"
	as_root rm -rf "$run"
	mkdir -p "$run"
	deb=$("$top/scripts/deb.sh" "$suite")
	[ -e "$base" ] || make_base
	root=$run/root
	as_root cp -a --reflink=auto "$base" "$root"
	old=$(kernels_of "$root" | tail -n 1) new=

	install_package
	upgrade_kernel
	make_disk
	merge_on "$old"
	merge_on "$new"
	if [ "$suite" = "$last" ]; then
		not_loaded "nouksm on the command line" nouksm inactive '^$'
		not_loaded "lockdown" lockdown=integrity failed 'started with lockdown=, .* is not enrolled'
		not_loaded "module.sig_enforce" module.sig_enforce=1 failed 'with module.sig_enforce, .* is not enrolled'
		secure_boot
		from_source
	fi
	unknown_kernel
	remove_package
	as_root rm -rf "$root" "$run/disk"
}

[ $# -gt 0 ] || set -- bookworm trixie
"$top/scripts/deps.sh" vm disk
for last; do :; done
row Debian kernel "" ""
for s; do
	case $s in
	bookworm) suite_run bookworm 6.1 ;;
	trixie) suite_run trixie 7.2 ;;
	*) die "usage: dkms-upgrade.sh [bookworm|trixie...]" ;;
	esac
done
echo "$passed passed, $failed failed"
exit $((failed > 0))
