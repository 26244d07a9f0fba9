// SPDX-License-Identifier: GPL-2.0
/* vm: mem=512 smp=1 numa=2 timeout=180 */
/*
 * As groups.c with control groups of the first version, which some kernels still
 * have: here memory_migrate says that a cpuset takes pages along, and the charge
 * of a frame may move with the process (move_charge_at_immigrate).
 *
 * One CPU, as in groups.c: the first cpuset has the kernel patch its own code,
 * which a second emulated CPU does not always survive (int3), uksm or not.
 */
#include "lib.h"
#include "lib_groups.h"
#include "lib_move.h"

#include <sys/mount.h>
#include <sys/stat.h>

#define V1 "/tmp/v1"

static void mount_v1(const char *controller)
{
	mkdir(V1, 0755);
	if (mount("cgroup", V1, "cgroup", 0, controller))
		skip("no %s controller of the first version: %s", controller,
		     strerror(errno));
}

static void by_cpuset(void)
{
	need_nodes();
	mount_v1("cpuset");
	mkdir(V1 "/cpusettest", 0755);
	put(V1 "/cpusettest", "cpuset.cpus", "0");
	put(V1 "/cpusettest", "cpuset.memory_migrate", "1");
	move_by_cpuset(V1 "/cpusettest");
	umount(V1);
}

static void memory_group(void)
{
	mount_v1("memory");
	move_between(V1 "/a", V1 "/b",
		     !access(V1 "/memory.move_charge_at_immigrate", F_OK));
	umount(V1);
}

static void no_way_round(void)
{
	mount_v1("memory");
	mkdir(V1 "/limited", 0755);
	put(V1 "/limited", "memory.limit_in_bytes", "16M");
	hoard_in(V1 "/limited", 16 * MIB / PAGE);
	CHECK_SOON(rmdir(V1 "/limited") == 0, 10);
	umount(V1);
}

static const struct test_case cases[] = {
	{ "a cpuset's node changes", by_cpuset, 90 },
	{ "moved between memory groups, with the charge", memory_group, 90 },
	{ "duplicates are no way round a limit", no_way_round, 120 },
};

TEST_MAIN(0)
