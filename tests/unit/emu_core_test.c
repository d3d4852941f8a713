/* SPDX-License-Identifier: MIT */
/* The interpreter's tiers: smallest programs in each mode, self-modifying code, page crossings, REP, shadows. */
#include "emu_harness.h"
#include "emu/isa/isa.h"

#include <criterion/criterion.h>
#include <string.h>

#define CODE(h, bytes) harness_code(h, bytes, sizeof(bytes) - 1)

static const enum harness_tier tiers[] = { HARNESS_STEP, HARNESS_BLOCK, HARNESS_JIT };
#define EACH_TIER for (unsigned tier = 0; tier < 3; tier++)

Test(emu_core, add_in_all_modes)
{
	static const enum harness_mode modes[] = { HARNESS_REAL, HARNESS_PROT16, HARNESS_PROT32, HARNESS_LONG,
						   HARNESS_LONG_USER };

	EACH_TIER for (unsigned m = 0; m < 5; m++)
	{
		struct harness h;

		harness_init(&h, modes[m], tiers[tier]);
		CODE(&h, "\x01\xd8\x01\xd8\x0f\x0b"); /* add (e)ax, (e)bx; add; ud2 */
		h.cpu->gpr[RAX] = 0xfffffffffff0;
		h.cpu->gpr[RBX] = 0xffff0000000e;
		cr_assert_eq(harness_run(&h, 100), 0x100 | VEC_UD, "mode %u tier %u", m, tier);
		/* 16-bit writes merge, 32-bit writes zero-extend (SDM vol. 1, 3.4.1.1). */
		cr_assert_eq(h.cpu->gpr[RAX], m <= HARNESS_PROT16 ? 0xffffffff000cull : 0xcull, "mode %u: %lx", m,
			     h.cpu->gpr[RAX]);
		harness_fini(&h);
	}
}

#define RUN_UD(h) cr_assert_eq(harness_run((h), 100000), 0x100 | VEC_UD, "fault %u error %x cr2 %lx rip %lx", (h)->fault.vector, \
			       (h)->fault.error, (h)->fault.cr2, (h)->cpu->rip)

static uint64_t peek(struct harness *h, uint64_t at, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, h->ram + at, size);
	return v;
}

/* A store to the next instruction, and to an earlier block, is seen at once (pitfalls 31). */
Test(emu_core, self_modifying_code)
{
	EACH_TIER
	{
		struct harness h;

		harness_init(&h, HARNESS_LONG, tiers[tier]);
		/* movb $5, 1(%rip of the next) ; mov $1, %al ; ud2 */
		CODE(&h, "\xc6\x05\x01\x00\x00\x00\x05\xb0\x01\x0f\x0b");
		RUN_UD(&h);
		cr_assert_eq(h.cpu->gpr[RAX] & 0xff, 5);
		/* loop: mov $1,%al; inc %ebx; movb $7, loop+1; cmp $2,%ebx; jne loop; ud2 */
		CODE(&h, "\xb0\x01\xff\xc3\xc6\x05\xf6\xff\xff\xff\x07\x83\xfb\x02\x75\xf0\x0f\x0b");
		h.cpu->gpr[RBX] = 0;
		RUN_UD(&h);
		cr_assert_eq(h.cpu->gpr[RAX] & 0xff, 7);
		harness_fini(&h);
	}
}

/* A page that held code and does no more is written at full speed, and code put there later is found. */
Test(emu_core, code_page_becomes_data_and_code_again)
{
	EACH_TIER
	{
		struct harness h;

		harness_init(&h, HARNESS_LONG, tiers[tier]);
		CODE(&h, "\xff\xd0\xff\xd0\x0f\x0b"); /* call *%rax; call *%rax; ud2 */
		h.cpu->gpr[RAX] = HARNESS_DATA;
		h.cpu->gpr[RBX] = 0;
		memcpy(h.ram + HARNESS_DATA, "\xff\xc3\xc6\x05\xf8\xff\xff\xff\xcb\xc3", 10);
		/* inc %ebx; movb $0xcb, byte 1 (inc -> dec: ff cb); ret */
		RUN_UD(&h);
		cr_assert_eq((uint32_t)h.cpu->gpr[RBX], 0, "inc, then dec");
		harness_fini(&h);
	}
}

Test(emu_core, instruction_across_a_page_boundary)
{
	EACH_TIER
	{
		struct harness h;
		uint64_t at = HARNESS_CODE + 0x1000 - 3;

		harness_init(&h, HARNESS_LONG, tiers[tier]);
		memcpy(h.ram + at, "\x48\xb8\x11\x22\x33\x44\x55\x66\x77\x88\x0f\x0b", 12);
		harness_sync(&h);
		h.cpu->rip = at;
		RUN_UD(&h);
		cr_assert_eq(h.cpu->gpr[RAX], 0x8877665544332211);
		/* The second page goes away: #PF for a fetch of its first byte, CR2 says so (pitfalls 13). */
		*harness_pte(&h, HARNESS_CODE + 0x1000) &= ~1ull;
		mmu_flush_page(h.emu, HARNESS_CODE + 0x1000);
		h.cpu->rip = at;
		cr_assert_eq(harness_run(&h, 1), 0x100 | VEC_PF);
		cr_assert_eq(h.fault.cr2, HARNESS_CODE + 0x1000);
		cr_assert_eq(h.fault.error, 0x10);
		cr_assert_eq(h.cpu->rip, at);
		/* It comes back with other bytes: another instruction. */
		*harness_pte(&h, HARNESS_CODE + 0x1000) |= 1;
		h.ram[HARNESS_CODE + 0x1000] = 0x99;
		mmu_ram_written(h.machine, HARNESS_CODE + 0x1000, 1);
		h.cpu->rip = at;
		RUN_UD(&h);
		cr_assert_eq(h.cpu->gpr[RAX], 0x8877665544339911);
		harness_fini(&h);
	}
}

/* The same linear page mapped to another frame: the block of the old frame must not run (pitfalls 32). */
Test(emu_core, remapped_code_is_noticed)
{
	EACH_TIER
	{
		struct harness h;
		uint64_t *pte;

		harness_init(&h, HARNESS_LONG, tiers[tier]);
		/* call *%rax; invlpg (%rax) after changing the entry; call *%rax; ud2 */
		CODE(&h, "\xff\xd0\x48\x89\x11\x0f\x01\x38\xff\xd0\x0f\x0b"); /* mov %rdx,(%rcx) writes the PTE */
		memcpy(h.ram + HARNESS_DATA, "\xb3\x01\xc3", 3);	      /* mov $1,%bl; ret */
		memcpy(h.ram + HARNESS_DATA + 0x1000, "\xb7\x02\xc3", 3);     /* mov $2,%bh; ret */
		pte = harness_pte(&h, HARNESS_DATA);
		h.cpu->gpr[RAX] = HARNESS_DATA;
		h.cpu->gpr[RBX] = 0;
		h.cpu->gpr[RCX] = (uint64_t)((uint8_t *)pte - h.ram);
		h.cpu->gpr[RDX] = (HARNESS_DATA + 0x1000) | 7;
		RUN_UD(&h);
		cr_assert_eq(h.cpu->gpr[RBX], 0x201);
		harness_fini(&h);
	}
}

/* Both pages are checked before a byte is written (pitfalls 12); CR2 is the first byte that faults. */
Test(emu_core, page_crossing_store_is_all_or_nothing)
{
	static const struct {
		const char *code;
		unsigned bytes;
	} stores[] = {
		{ "\x48\x89\x18", 3 },	       /* mov %rbx,(%rax) */
		{ "\x48\x01\x18", 3 },	       /* add %rbx,(%rax) */
		{ "\xf0\x48\x01\x18", 4 },     /* lock add */
		{ "\x48\x87\x18", 3 },	       /* xchg */
		{ "\xf0\x48\x0f\xb1\x18", 5 }, /* lock cmpxchg */
		{ "\x48\xab", 2 },	       /* stosq */
	};

	EACH_TIER for (unsigned n = 0; n < sizeof(stores) / sizeof(stores[0]); n++)
	{
		struct harness h;
		uint64_t at = HARNESS_DATA + 0x1000 - 3;

		harness_init(&h, HARNESS_LONG, tiers[tier]);
		harness_code(&h, stores[n].code, stores[n].bytes);
		*harness_pte(&h, HARNESS_DATA + 0x1000) &= ~2ull; /* read-only, CR0.WP is set */
		harness_sync(&h);
		h.cpu->gpr[RAX] = h.cpu->gpr[RDI] = at;
		h.cpu->gpr[RBX] = UINT64_MAX;
		cr_assert_eq(harness_run(&h, 1), 0x100 | VEC_PF, "store %u", n);
		cr_assert_eq(h.fault.error, 3, "store %u", n);
		cr_assert_eq(h.fault.cr2, HARNESS_DATA + 0x1000);
		cr_assert_eq(peek(&h, at, 8), 0);
		cr_assert_eq(h.cpu->gpr[RDI], at);
		cr_assert_eq(h.cpu->gpr[RBX], UINT64_MAX);
		harness_fini(&h);
	}
}

/* ---- REP (pitfalls 14) ---- */

Test(emu_core, rep_movs_repeats_a_pattern)
{
	EACH_TIER
	{
		struct harness h;

		harness_init(&h, HARNESS_LONG, tiers[tier]);
		CODE(&h, "\xf3\xa4\x0f\x0b"); /* rep movsb */
		memcpy(h.ram + HARNESS_DATA, "abc", 3);
		h.cpu->gpr[RSI] = HARNESS_DATA;
		h.cpu->gpr[RDI] = HARNESS_DATA + 3;
		h.cpu->gpr[RCX] = 9000; /* over page boundaries */
		RUN_UD(&h);
		cr_assert_eq(memcmp(h.ram + HARNESS_DATA + 8997, "abcabc", 6), 0);
		cr_assert_eq(h.ram[HARNESS_DATA + 9003], 0);
		cr_assert_eq(h.cpu->gpr[RCX], 0);
		cr_assert_eq(h.cpu->gpr[RDI], HARNESS_DATA + 9003);
		/* Downwards from the end, dwords, onto the next higher page: plain copy. */
		CODE(&h, "\xfd\xf3\xa5\xfc\x0f\x0b");
		h.cpu->gpr[RSI] = HARNESS_DATA + 8996;
		h.cpu->gpr[RDI] = HARNESS_DATA + 0x6000 + 8996;
		h.cpu->gpr[RCX] = 2250;
		RUN_UD(&h);
		cr_assert_eq(memcmp(h.ram + HARNESS_DATA + 0x6000, h.ram + HARNESS_DATA, 9000), 0);
		cr_assert_eq(h.cpu->gpr[RSI], HARNESS_DATA - 4);
		harness_fini(&h);
	}
}

Test(emu_core, rep_stops_at_the_faulting_iteration)
{
	EACH_TIER
	{
		struct harness h;

		harness_init(&h, HARNESS_LONG, tiers[tier]);
		CODE(&h, "\xf3\x48\xab"); /* rep stosq */
		*harness_pte(&h, HARNESS_DATA + 0x2000) &= ~1ull;
		harness_sync(&h);
		h.cpu->gpr[RDI] = HARNESS_DATA + 0x800;
		h.cpu->gpr[RAX] = 0x1122334455667788;
		h.cpu->gpr[RCX] = 4096;
		cr_assert_eq(harness_run(&h, 100), 0x100 | VEC_PF);
		cr_assert_eq(h.fault.cr2, HARNESS_DATA + 0x2000);
		cr_assert_eq(h.cpu->gpr[RDI], HARNESS_DATA + 0x2000);
		cr_assert_eq(h.cpu->gpr[RCX], 4096 - 0x1800 / 8);
		cr_assert_eq(h.cpu->rip, HARNESS_CODE);
		cr_assert_eq(peek(&h, HARNESS_DATA + 0x1ff8, 8), 0x1122334455667788);
		harness_fini(&h);
	}
}

Test(emu_core, rep_with_count_zero_touches_nothing)
{
	EACH_TIER
	{
		struct harness h;

		harness_init(&h, HARNESS_LONG, tiers[tier]);
		CODE(&h, "\xf3\xa4\xf3\xaa\xf3\xac\xf3\xa6\xf2\xae\x67\xf3\xa4\x0f\x0b");
		h.cpu->gpr[RSI] = h.cpu->gpr[RDI] = 0xdead00000000; /* not mapped */
		h.cpu->gpr[RCX] = 0;
		harness_set_flags(&h, RFLAGS_ARITH);
		RUN_UD(&h);
		cr_assert_eq(harness_flags(&h) & RFLAGS_ARITH, RFLAGS_ARITH); /* SCAS and CMPS did not compare */
		/* 67: ECX counts, and the upper half of RCX does not matter. */
		CODE(&h, "\x67\xf3\xa4\x0f\x0b");
		h.cpu->gpr[RCX] = 0xffff00000000;
		RUN_UD(&h);
		harness_fini(&h);
	}
}

Test(emu_core, repne_scas_and_repe_cmps)
{
	EACH_TIER
	{
		struct harness h;

		harness_init(&h, HARNESS_LONG, tiers[tier]);
		CODE(&h, "\xf2\xae\x0f\x0b"); /* repne scasb */
		memcpy(h.ram + HARNESS_DATA, "hello", 6);
		h.cpu->gpr[RDI] = HARNESS_DATA;
		h.cpu->gpr[RAX] = 0;
		h.cpu->gpr[RCX] = UINT64_MAX;
		RUN_UD(&h);
		cr_assert_eq(~h.cpu->gpr[RCX] - 1, 5); /* strlen */
		cr_assert(harness_flags(&h) & RFLAGS_ZF);
		CODE(&h, "\xf3\xa6\x0f\x0b"); /* repe cmpsb */
		memcpy(h.ram + HARNESS_DATA + 0x100, "help!", 6);
		h.cpu->gpr[RSI] = HARNESS_DATA;
		h.cpu->gpr[RDI] = HARNESS_DATA + 0x100;
		h.cpu->gpr[RCX] = 6;
		RUN_UD(&h);
		cr_assert_eq(h.cpu->gpr[RCX], 2);
		cr_assert_eq(harness_flags(&h) & (RFLAGS_ZF | RFLAGS_CF), RFLAGS_CF); /* 'l' < 'p' */
		harness_fini(&h);
	}
}

/* Addresses wrap at 64 KiB with 16-bit addressing, inside one REP. */
Test(emu_core, rep_wraps_at_the_address_size)
{
	EACH_TIER
	{
		struct harness h;

		harness_init(&h, HARNESS_REAL, tiers[tier]);
		CODE(&h, "\xf3\xaa\x0f\x0b");
		h.cpu->gpr[RDI] = 0xfffe;
		h.cpu->gpr[RCX] = 4;
		h.cpu->gpr[RAX] = 0x55;
		RUN_UD(&h);
		cr_assert_eq(peek(&h, 0xfffe, 2), 0x5555);
		cr_assert_eq(peek(&h, 0, 4), 0x5555);
		cr_assert_eq(h.cpu->gpr[RDI], 2);
		harness_fini(&h);
	}
}

/* ---- devices ---- */

Test(emu_core, memory_mapped_io_has_the_right_width)
{
	EACH_TIER
	{
		struct harness h;

		harness_init(&h, HARNESS_PROT32, tiers[tier]);
		CODE(&h, "\xa1\x00\x00\x00\xd0\x0f\x0b"); /* mov 0xd0000000,%eax */
		h.bus.read_value = 0x12345678;
		RUN_UD(&h);
		cr_assert_eq(h.cpu->gpr[RAX], 0x12345678);
		cr_assert_eq(h.bus.reads, 1);
		cr_assert_eq(h.bus.last_size, 4);
		/* A read-modify-write is one read and one write (pitfalls 36). */
		CODE(&h, "\x66\xff\x05\x02\x00\x00\xd0\x0f\x0b"); /* incw 0xd0000002 */
		RUN_UD(&h);
		cr_assert_eq(h.bus.reads, 2);
		cr_assert_eq(h.bus.writes, 1);
		cr_assert_eq(h.bus.last_size, 2);
		cr_assert_eq(h.bus.last_data, 0x5679);
		harness_fini(&h);
	}
}

/* The buffer is translated before the device hears of the access. */
Test(emu_core, ins_to_an_unmapped_page_does_not_read_the_port)
{
	EACH_TIER
	{
		struct harness h;

		harness_init(&h, HARNESS_LONG, tiers[tier]);
		CODE(&h, "\x6c"); /* insb */
		h.cpu->gpr[RDI] = 0xdead00000000 & 0x7fffffffffff;
		h.cpu->gpr[RDX] = 0x60;
		cr_assert_eq(harness_run(&h, 1), 0x100 | VEC_PF);
		cr_assert_eq(h.bus.reads, 0);
		CODE(&h, "\xf3\x6d\x0f\x0b");		/* rep insl */
		h.cpu->gpr[RDI] = HARNESS_DATA + 0xffe; /* an item crosses the page */
		h.cpu->gpr[RCX] = 3;
		h.bus.read_value = 0xaabbccdd;
		RUN_UD(&h);
		cr_assert_eq(h.bus.reads, 3);
		cr_assert_eq(peek(&h, HARNESS_DATA + 0xffe + 8, 4), 0xaabbccdd);
		harness_fini(&h);
	}
}

/* ---- flat stack: handlers tail-call each other ---- */

Test(emu_core, long_runs_use_no_stack)
{
	struct harness h;

	harness_init(&h, HARNESS_LONG, HARNESS_BLOCK);
	/* loop: push; pop; add; cmp; mov; dec %ecx; jnz; ud2 */
	CODE(&h, "\x50\x5b\x01\xd8\x39\xc3\x48\x89\x06\xff\xc9\x75\xf3\x0f\x0b");
	h.cpu->gpr[RSI] = HARNESS_DATA;
	h.cpu->gpr[RCX] = 3000000;
	cr_assert_eq(harness_run(&h, 100000000), 0x100 | VEC_UD);
	cr_assert_eq(h.cpu->gpr[RCX], 0);
	harness_fini(&h);
}

/* ---- retirement and slices ---- */

Test(emu_core, instructions_are_counted_exactly)
{
	EACH_TIER
	{
		struct harness h;
		uint64_t before;

		harness_init(&h, HARNESS_LONG, tiers[tier]);
		CODE(&h, "\xb9\x0a\x00\x00\x00\xff\xc9\x75\xfc\x0f\x0b"); /* mov $10,%ecx; loop: dec; jnz; ud2 */
		before = emu_retired(h.emu);
		RUN_UD(&h);
		cr_assert_eq(emu_retired(h.emu) - before, 21); /* a faulting instruction does not retire */
		harness_fini(&h);
	}
}

/* BOUND, ENTER, LEAVE, PUSHA, POPA, LOOP in 32-bit mode. */
Test(emu_core, thirty_two_bit_stack_instructions)
{
	EACH_TIER
	{
		struct harness h;

		harness_init(&h, HARNESS_PROT32, tiers[tier]);
		CODE(&h, "\x60\x31\xc0\x31\xc9\x61\x0f\x0b"); /* pusha; xor; xor; popa; ud2 */
		for (unsigned n = 0; n < 8; n++) {
			if (n != RSP)
				h.cpu->gpr[n] = 0x11111111u * n;
		}
		RUN_UD(&h);
		for (unsigned n = 0; n < 8; n++)
			cr_assert_eq(h.cpu->gpr[n], n == RSP ? HARNESS_STACK : 0x11111111u * n);
		CODE(&h, "\xc8\x10\x00\x02\xc9\x0f\x0b"); /* enter $16,$2; leave; ud2 */
		h.cpu->gpr[RBP] = HARNESS_STACK - 0x100;
		RUN_UD(&h);
		cr_assert_eq(h.cpu->gpr[RSP], HARNESS_STACK);
		cr_assert_eq(h.cpu->gpr[RBP], HARNESS_STACK - 0x100);
		cr_assert_eq(peek(&h, HARNESS_STACK - 12, 4), HARNESS_STACK - 4); /* the frame pointer of level 2 */
		CODE(&h, "\x62\x06\x0f\x0b");					  /* bound %eax,(%esi) */
		h.cpu->gpr[RSI] = HARNESS_DATA;
		h.cpu->gpr[RAX] = 5;
		memcpy(h.ram + HARNESS_DATA, "\x01\0\0\0\x04\0\0\0", 8);
		cr_assert_eq(harness_run(&h, 1), 0x100 | VEC_BR);
		harness_fini(&h);
	}
}

/* A branch target outside the limit or not canonical is the branch's fault, at the branch (pitfalls 40). */
Test(emu_core, branch_targets_are_checked_at_the_branch)
{
	EACH_TIER
	{
		struct harness h;

		harness_init(&h, HARNESS_LONG, tiers[tier]);
		CODE(&h, "\xff\xe0");
		h.cpu->gpr[RAX] = 0x800000000000;
		cr_assert_eq(harness_run(&h, 1), 0x100 | VEC_GP);
		cr_assert_eq(h.cpu->rip, HARNESS_CODE);
		CODE(&h, "\xc3");
		memcpy(h.ram + HARNESS_STACK, "\0\0\0\0\0\x80\0\0", 8);
		cr_assert_eq(harness_run(&h, 1), 0x100 | VEC_GP);
		cr_assert_eq(h.cpu->rip, HARNESS_CODE);
		cr_assert_eq(h.cpu->gpr[RSP], HARNESS_STACK);
		harness_fini(&h);
	}
}

/* Non-canonical data: #SS through the stack segment, #GP otherwise; LEA never faults. */
Test(emu_core, non_canonical_addresses)
{
	EACH_TIER
	{
		struct harness h;

		harness_init(&h, HARNESS_LONG, tiers[tier]);
		CODE(&h, "\x8b\x00");
		h.cpu->gpr[RAX] = h.cpu->gpr[RBP] = 0x8000000000000000;
		cr_assert_eq(harness_run(&h, 1), 0x100 | VEC_GP);
		CODE(&h, "\x8b\x45\x00");
		cr_assert_eq(harness_run(&h, 1), 0x100 | VEC_SS);
		CODE(&h, "\x8d\x45\x00\x0f\x0b");
		RUN_UD(&h);
		harness_fini(&h);
	}
}

/* Two MOV SS in a row: the second does not shield the instruction behind it (SDM vol. 3, 6.8.3). */
Test(emu_core, interrupt_shadow)
{
	EACH_TIER
	{
		struct harness h;

		harness_init(&h, HARNESS_LONG, tiers[tier]);
		CODE(&h, "\x8e\xd0\x8e\xd0\x90\x0f\x0b"); /* mov %eax,%ss twice */
		h.cpu->gpr[RAX] = 0x10;
		cr_assert_eq(harness_run(&h, 1), 0);
		cr_assert_eq(h.cpu->shadow, SHADOW_MOV_SS);
		cr_assert_eq(harness_run(&h, 1), 0);
		cr_assert_eq(h.cpu->shadow, 0);
		cr_assert_eq(h.cpu->rip, HARNESS_CODE + 4);
		harness_fini(&h);
	}
}

/* A RIP-relative displacement at the end of its range counts from the next instruction like any other. */
Test(emu_core, rip_relative_at_the_end_of_the_range)
{
	EACH_TIER
	{
		struct harness h;

		harness_init(&h, HARNESS_LONG, tiers[tier]);
		CODE(&h, "\x90\x90\x8b\x05\xff\xff\xff\x7f"); /* mov 0x7fffffff(%rip),%eax */
		cr_assert_eq(harness_run(&h, 3), 0x100 | VEC_PF);
		cr_assert_eq(h.fault.cr2, HARNESS_CODE + 8 + 0x7fffffffull);
		CODE(&h, "\x48\x8d\x05\xfe\xff\xff\x7f\x0f\x0b");
		RUN_UD(&h);
		cr_assert_eq(h.cpu->gpr[RAX], HARNESS_CODE + 7 + 0x7ffffffeull);
		harness_fini(&h);
	}
}
