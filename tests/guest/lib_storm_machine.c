// SPDX-License-Identifier: GPL-2.0
/*
 * A guest of a storm without QEMU and without a kernel: a KVM machine with one
 * processor in 64-bit mode that runs two loops of this file, over memory that
 * it has mapped with page tables of its own. It costs next to nothing to start,
 * and to KVM and to the module it is a guest like any other.
 */
#include "lib_kvm.h"
#include "lib_storm.h"

#ifdef __x86_64__
#include <linux/kvm.h>
#include <sys/ioctl.h>

/* ---- in the guest ------------------------------------------------------- */

/**
 * struct job - what the processor is to do
 * @id: the guest's number
 * @from: the first page
 * @n: pages
 * @check: count those that are wrong, else fill them
 * @wrong: how many were
 */
struct job {
	u64 id, from, n, check, wrong;
};

/* No two pages begin alike, and none is zeros. */
#define FIRST_WORD(id, i) \
	(((i) << 16 | (STORM_OWN(i) ? (id) + 2 : 1)) * 0x9e3779b97f4a7c15ULL)

/*
 * All that the guest runs. It is copied there, so it calls nothing and names no
 * data; and nobody has set up the processor for SSE.
 */
static void __attribute__((section("storm_code"), used, noinline,
			   target("general-regs-only")))
guest_code(struct job *job)
{
	u64 i, k, x, *page, differ;

	job->wrong = 0;
	for (i = job->from; i < job->from + job->n; i++) {
		page = (u64 *)(i * PAGE);
		x = FIRST_WORD(job->id, i);
		differ = 0;
		for (k = 0; k < PAGE / sizeof(*page); k++) {
			if (job->check)
				differ |= page[k] ^ x;
			else
				page[k] = x;
			x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		}
		job->wrong += !!differ;
	}
	for (;;)
		asm volatile("hlt" : : : "memory");
}

extern const u8 __start_storm_code[], __stop_storm_code[];

/* ---- its machine -------------------------------------------------------- */

/* Pages behind the guest's memory: page tables, code, a stack, the job. */
enum { PML4, PDPT, PD, CODE = PD + 4, STACK, JOB, BEHIND };

#define PTE_TABLE 0x3 /* present, writable */
#define PTE_HUGE 0x83
#define CR0 0x80000001UL /* paging, protected mode */
#define CR4 0x20UL /* PAE */
#define EFER 0x500UL /* long mode, enabled and active */

static struct vm vm;
static u8 *behind;

static u64 at(int page)
{
	return (vm.pages + page) * PAGE;
}

/* Four GiB, each address where it is. */
static void make_tables(void)
{
	u64 *pml4 = (u64 *)(behind + PML4 * PAGE), i;
	u64 *pdpt = (u64 *)(behind + PDPT * PAGE);
	u64 *pd = (u64 *)(behind + PD * PAGE);

	pml4[0] = at(PDPT) | PTE_TABLE;
	for (i = 0; i < 4; i++)
		pdpt[i] = at(PD + i) | PTE_TABLE;
	for (i = 0; i < 4 * 512; i++)
		pd[i] = i * HPAGE | PTE_HUGE;
}

/* What this processor can do, or KVM refuses 64-bit mode. */
static void make_cpuid(void)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry[256];
	} all = { .head.nent = 256 };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	CHECK_EQ(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &all), 0);
	CHECK_EQ(ioctl(vm.vcpu, KVM_SET_CPUID2, &all), 0);
	close(kvm);
}

/* All of the address space, in 64-bit mode. */
static struct kvm_segment flat(int selector, int type, bool code)
{
	return (struct kvm_segment){ .limit = ~0U,
				     .selector = selector,
				     .type = type,
				     .present = 1,
				     .s = 1,
				     .l = code,
				     .db = !code,
				     .g = 1 };
}

static void make_processor(void)
{
	struct kvm_sregs s;

	CHECK_EQ(ioctl(vm.vcpu, KVM_GET_SREGS, &s), 0);
	s.cs = flat(8, 11, true);
	s.ds = s.es = s.fs = s.gs = s.ss = flat(16, 3, false);
	s.cr0 = CR0;
	s.cr3 = at(PML4);
	s.cr4 = CR4;
	s.efer = EFER;
	CHECK_EQ(ioctl(vm.vcpu, KVM_SET_SREGS, &s), 0);
}

static u64 machine_do(u64 id, u64 from, u64 n, bool check)
{
	struct job *job = (struct job *)(behind + JOB * PAGE);
	struct kvm_regs r = { .rip = at(CODE),
			      .rsp = at(STACK) + PAGE - 8,
			      .rdi = at(JOB),
			      .rflags = 2 };

	*job = (struct job){ .id = id, .from = from, .n = n, .check = check };
	CHECK_EQ(ioctl(vm.vcpu, KVM_SET_REGS, &r), 0);
	while (ioctl(vm.vcpu, KVM_RUN, 0))
		CHECK_EQ(errno, EINTR);
	CHECK_EQ(vm.run->exit_reason, KVM_EXIT_HLT);
	return job->wrong;
}

void machine_fill(u64 id, u64 from, u64 n)
{
	machine_do(id, from, n, false);
}

static u64 machine_check(u64 id, u64 from, u64 n)
{
	return machine_do(id, from, n, true);
}

void *machine_start(u64 pages, bool huge)
{
	u8 *mem = map_aligned(pages);

	if (huge && madvise(mem, pages * PAGE, MADV_HUGEPAGE) &&
	    errno != EINVAL)
		FAIL("MADV_HUGEPAGE: %s", strerror(errno));
	behind = mmap(NULL, BEHIND * PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(behind != MAP_FAILED);
	vm_create(&vm, mem, pages, behind, BEHIND);
	CHECK_OP(__stop_storm_code - __start_storm_code, <=, PAGE);
	memcpy(behind + CODE * PAGE, __start_storm_code,
	       __stop_storm_code - __start_storm_code);
	make_tables();
	make_cpuid();
	make_processor();
	return mem;
}

void storm_machine(const struct storm *s, int id)
{
	struct storm_memory m = { .n = s->fill * MIB / PAGE,
				  .id = id,
				  .nap = 100,
				  .fill = machine_fill,
				  .check = machine_check };

	/* in huge pages for every other guest, as QEMU asks for them */
	machine_start(s->mib * MIB / PAGE, id % 2);
	storm_guest(&m);
	_exit(0);
}

#else

void *machine_start(u64 pages, bool huge)
{
	(void)pages, (void)huge; /* see vm_needed() */
	return NULL;
}

void machine_fill(u64 id, u64 from, u64 n)
{
	(void)id, (void)from, (void)n;
}

void storm_machine(const struct storm *s, int id)
{
	(void)s, (void)id;
	_exit(1);
}

#endif
