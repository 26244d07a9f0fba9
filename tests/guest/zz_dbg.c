/* debug */
#include "lib.h"
static void dbg(void)
{
	const size_t pages = 16 * MIB / PAGE;
	struct worker a, b;
	void *pa, *pb;
	size_t i; long first=-1;

	worker_start(&a);
	worker_start(&b);
	sysfs_set("run", "0");
	pa = worker_map_filled(&a, pages, 5, 0);
	pb = worker_map_filled(&b, pages, 5, 0);
	sysfs_set("run", "1");
	sleep(6);
	for (i = 0; i <= pages; i++) {
		int same = i < pages ? count_same(a.pid, pa + i*PAGE, b.pid, pb + i*PAGE, 1) : 1;
		if (!same && first < 0) first = i;
		if (same && first >= 0) { note("not same %ld..%zu  addr %p %p", first, i - 1, pa + first*PAGE, pb+first*PAGE); first = -1; }
	}
	note("scans %lld unshared %lld volatile %lld shared %lld", sysfs_num("full_scans"), sysfs_num("pages_unshared"), sysfs_num("pages_volatile"), sysfs_num("pages_shared"));
	CHECK_EQ(0,1);
}
static const struct test_case cases[] = { { "dbg", dbg, 60 } };
TEST_MAIN(0)
