/* SPDX-License-Identifier: MIT */
/* A bare emulated processor for unit tests. */
#include "emu_harness.h"
#include "emu/run/engine_emu.h"
#include "emu/core/flags.h"
#include "emu/block/block.h"
#include "emu/run/run.h"
#include "emu/sem/sys/sys.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SLICE_MAX = 1 << 30 };

static uint64_t bus_read(void *ctx, unsigned vcpu, enum io_space space, uint64_t addr, unsigned size)
{
	struct harness *h = ctx;

	h->bus.reads++;
	h->bus.last_space = space;
	h->bus.last_addr = addr;
	h->bus.last_size = size;
	return h->bus.read_value;
}

static void bus_write(void *ctx, unsigned vcpu, enum io_space space, uint64_t addr, uint64_t data, unsigned size)
{
	struct harness *h = ctx;

	h->bus.writes++;
	h->bus.last_space = space;
	h->bus.last_addr = addr;
	h->bus.last_data = data;
	h->bus.last_size = size;
}

static void bus_read_string(void *ctx, unsigned vcpu, uint16_t port, void *buf, uint32_t count, unsigned size)
{
	for (uint32_t n = 0; n < count; n++) {
		uint64_t v = bus_read(ctx, vcpu, IO_PORT, port, size);

		memcpy((uint8_t *)buf + n * size, &v, size);
	}
}

static void bus_write_string(void *ctx, unsigned vcpu, uint16_t port, const void *buf, uint32_t count, unsigned size)
{
	for (uint32_t n = 0; n < count; n++) {
		uint64_t v = 0;

		memcpy(&v, (const uint8_t *)buf + n * size, size);
		bus_write(ctx, vcpu, IO_PORT, port, v, size);
	}
}

static void put64(struct harness *h, uint64_t at, uint64_t v)
{
	memcpy(h->ram + at, &v, 8);
}

/* PML4, PDPT, PD, then one page table for each 2 MiB. */
static void identity_tables(struct harness *h)
{
	uint64_t pml4 = HARNESS_PML4, pdpt = pml4 + 4096, pd = pdpt + 4096, pt = pd + 4096;

	put64(h, pml4, pdpt | 7);
	put64(h, pdpt, pd | 7);
	for (uint64_t n = 0; n < HARNESS_RAM >> 21; n++)
		put64(h, pd + 8 * n, (pt + 4096 * n) | 7);
	for (uint64_t n = 0; n < HARNESS_RAM >> 12; n++)
		put64(h, pt + 8 * n, n << 12 | 7);
}

int harness_one(struct harness *h, const void *bytes, size_t count)
{
	uint8_t code[32];
	int r;

	memcpy(code, bytes, count);
	code[count] = 0xf4;
	harness_code(h, code, count + 1);
	h->cpu->activity = CPU_RUNNING;
	r = harness_run(h, 2);
	return r == 0x200 ? 0 : r;
}

uint64_t *harness_pte(struct harness *h, uint64_t linear)
{
	return (uint64_t *)(void *)(h->ram + HARNESS_PML4 + 3 * 4096 + 8 * (linear >> 12));
}

static void descriptors(struct harness *h)
{
	static const uint64_t gdt[] = {
		0,
		0x00af9b000000ffff, /* 08 code64 */
		0x00cf93000000ffff, /* 10 data */
		0x00cf9b000000ffff, /* 18 code32 */
		0x008f9b000000ffff, /* 20 code16, 4 GiB limit */
		0x008f93000000ffff, /* 28 data16 */
		0x00affb000000ffff, /* 30 user code64 */
		0x00cff3000000ffff, /* 38 user data */
	};

	memcpy(h->ram + HARNESS_GDT, gdt, sizeof(gdt));
	h->cpu->gdtr = (struct dtable){ HARNESS_GDT, sizeof(gdt) + 15 };
	put64(h, HARNESS_GDT + 0x40, 0x00008b0000000067 | (uint64_t)(HARNESS_TSS & 0xffffff) << 16);
	h->cpu->tr = (struct segment){ .base = HARNESS_TSS, .limit = 0x67, .attr = 0x8b, .selector = 0x40 };
	h->cpu->idtr = (struct dtable){ HARNESS_IDT, 0xfff };
}

static struct segment flat(uint16_t selector, uint32_t attr)
{
	return (struct segment){ .base = 0, .limit = UINT32_MAX, .attr = attr, .selector = selector };
}

static void enter_mode(struct harness *h, enum harness_mode mode)
{
	static const struct {
		uint16_t code, data;
		uint32_t code_attr, data_attr;
	} select[] = {
		[HARNESS_PROT16] = { 0x20, 0x28, 0x809b, 0x8093 },
		[HARNESS_PROT32] = { 0x18, 0x10, 0xc09b, 0xc093 },
		[HARNESS_LONG] = { 0x08, 0x10, 0xa09b, 0xc093 },
		[HARNESS_LONG_USER] = { 0x33, 0x3b, 0xa0fb, 0xc0f3 },
	};
	struct cpu *c = h->cpu;

	c->rip = HARNESS_CODE;
	c->gpr[RSP] = HARNESS_STACK;
	if (mode == HARNESS_REAL) {
		for (unsigned n = 0; n < SEG_COUNT; n++) {
			c->seg[n].base = 0;
			c->seg[n].selector = 0;
		}
		c->seg[SEG_CS].base = HARNESS_CODE;
		c->seg[SEG_CS].selector = HARNESS_CODE >> 4;
		c->seg[SEG_SS].base = HARNESS_STACK - 0x10000;
		c->seg[SEG_SS].selector = (HARNESS_STACK - 0x10000) >> 4;
		c->rip = 0;
		c->gpr[RSP] = 0xfff0;
		return;
	}
	descriptors(h);
	c->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP;
	c->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
	c->seg[SEG_CS] = flat(select[mode].code, select[mode].code_attr);
	for (unsigned n = 0; n < SEG_COUNT; n++) {
		if (n != SEG_CS)
			c->seg[n] = flat(select[mode].data, select[mode].data_attr);
	}
	if (mode >= HARNESS_LONG) {
		identity_tables(h);
		c->cr3 = HARNESS_PML4;
		c->cr4 |= CR4_PAE;
		c->cr0 |= CR0_PG;
		c->msr.efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
	}
}

/* EMU_VERIFY=N: what is translated is compared with single steps, each Nth time at least. */
static unsigned verify_every(void)
{
	const char *n = getenv("EMU_VERIFY");

	return n ? (unsigned)atoi(n) : 0;
}

void harness_create(struct harness *h, size_t ram_bytes, enum harness_tier tier, const struct cpu_model *model)
{
	struct engine_bus bus = {
		.ctx = h, .read = bus_read, .write = bus_write, .read_string = bus_read_string, .write_string = bus_write_string
	};
	struct engine_config config = { .bus = &bus,
					.cpu = model,
					.ram_count = 1,
					.vcpus = 1,
					.kvm_fd = -1,
					.single_step = tier == HARNESS_STEP,
					.code_cache_bytes = 1 << 20,
					.no_translator = tier == HARNESS_BLOCK,
					.translate_after = tier == HARNESS_WARM ? 4 : 1,
					.check_ranges = verify_every() != 0,
					.verify_every = verify_every(),
					.host_lacks = getenv("EMU_HOST_LACKS") };

	memset(h, 0, sizeof(*h));
	h->tier = tier;
	h->ram_bytes = ram_bytes;
	h->ram = mmap(NULL, ram_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (h->ram == MAP_FAILED)
		abort();
	config.ram[0] = (struct engine_ram){ 0, ram_bytes, h->ram };
	if (engine_emu.create(&config, &h->engine))
		abort();
	h->emu = engine_emu_vcpu(h->engine, 0);
	h->cpu = &h->emu->cpu;
	h->machine = h->emu->machine;
}

void harness_init(struct harness *h, enum harness_mode mode, enum harness_tier tier)
{
	harness_create(h, HARNESS_RAM, tier, NULL);
	enter_mode(h, mode);
	harness_sync(h);
}

void harness_fini(struct harness *h)
{
	engine_emu.destroy(h->engine);
	munmap(h->ram, h->ram_bytes);
}

void harness_sync(struct harness *h)
{
	code_flush(h->emu);
	mmu_mode_changed(h->emu);
	mmu_flush_all(h->emu);
}

void harness_code(struct harness *h, const void *bytes, size_t count)
{
	memcpy(h->ram + HARNESS_CODE, bytes, count);
	if (h->tier >= HARNESS_JIT) /* which may run to the end of a block more */
		memcpy(h->ram + HARNESS_CODE + count, "\xeb\xfe", 2);
	h->cpu->rip = h->cpu->seg[SEG_CS].base == HARNESS_CODE ? 0 : HARNESS_CODE;
	harness_sync(h);
}

uint64_t harness_flags(struct harness *h)
{
	return emu_flags_get(h->emu);
}

void harness_set_flags(struct harness *h, uint64_t rflags)
{
	emu_flags_set(h->emu, ~0ull, rflags);
	mmu_mode_changed(h->emu);
}

void harness_deliver(struct harness *h, bool on)
{
	h->deliver = on;
}

int harness_run(struct harness *h, unsigned count)
{
	struct emu *e = h->emu;
	uint64_t end = emu_retired(e) + count;

	h->fault.pending = false;
	block_forget_way(e); /* the test may have moved RIP */
	while (emu_retired(e) < end) {
		/* The slice ends with the count, so that linked blocks come back. */
		uint64_t left = end - emu_retired(e);
		int32_t slice = left > SLICE_MAX ? SLICE_MAX : (int32_t)left - 1;

		e->retired += (uint64_t)((int64_t)slice - e->budget);
		e->budget = slice;
		emu_advance(e, h->tier == HARNESS_STEP);
		if (e->fault.pending) {
			h->fault = e->fault;
			if (!h->deliver) {
				e->fault.pending = false;
				return 0x100 | h->fault.vector;
			}
			exc_deliver_fault(e);
			block_forget_way(e);
			end--; /* a delivered exception counts as progress: no endless loop of faults */
		}
		if (e->cpu.activity == CPU_HALTED)
			return 0x200;
		if (e->cpu.activity == CPU_SHUTDOWN)
			return 0x300;
	}
	return 0;
}
