// SPDX-License-Identifier: GPL-2.0
/* vm: mem=512 smp=1 numa=2 timeout=180 */
/*
 * Processes that share frames are moved by control groups of the second version:
 * a cpuset takes the frames to its node; a frame stays charged to the memory
 * group it was made in, which can be removed, and what is made later belongs to
 * the group where the processes are then.
 */
#include "lib.h"
#include "lib_groups.h"
#include "lib_move.h"

#include <sys/stat.h>

#define ROOT "/sys/fs/cgroup"

static void need(const char *controller)
{
	if (file_write(ROOT "/cgroup.subtree_control", controller))
		skip("no controller %s", controller + 1);
}

static void by_cpuset(void)
{
	need_nodes();
	need("+cpuset");
	mkdir(ROOT "/cpusettest", 0755);
	move_by_cpuset(ROOT "/cpusettest");
}

static void memory_group(void)
{
	need("+memory");
	move_between(ROOT "/a", ROOT "/b", false);
}

static const struct test_case cases[] = {
	{ "a cpuset's node changes", by_cpuset, 90 },
	{ "moved between memory groups", memory_group, 90 },
};

TEST_MAIN(0)
