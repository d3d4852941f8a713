/* SPDX-License-Identifier: MIT */
/* The table of registers, and what is made of it: registers.h. */
#include "registers.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum feature { CORE, SEGMENTS, SSE, AVX, AVX512, PKEYS, SYSTEM, FEATURES };
enum form {
	PLAIN,	 /* bytes of the state; above them zeroes */
	STACKED, /* of the x87: counted from its top */
	TAGS,	 /* the full form of FNSTENV */
	TPR,	 /* CR8; it cannot be written here, as it belongs to the local APIC */
};

enum { TOP_SHIFT = 11, X87_REGS = 8, APIC_TPR_AT = 8 };

/* `count` registers that follow each other: the first number is `first` if there are several, else there is none. */
struct row {
	const char *name, *type;
	uint8_t feature, form, count, first;
	uint16_t bits, bytes, offset, stride;
};

#define AT(field) offsetof(struct engine_state, cpu.field)
#define ONE(feature, name, bits, type, field) \
	{ name, type, feature, PLAIN, 1, 0, bits, sizeof(((struct engine_state *)0)->cpu.field), AT(field), 0 }
#define VECTORS(feature, name, first, count, bits, type, byte) \
	{ name, type, feature, PLAIN, count, first, bits, (bits) / 8, AT(vec[first].u8[byte]), sizeof(union vec) }

static const struct row rows[] = {
	ONE(CORE, "rax", 64, "int64", gpr[RAX]), ONE(CORE, "rbx", 64, "int64", gpr[RBX]), ONE(CORE, "rcx", 64, "int64", gpr[RCX]),
	ONE(CORE, "rdx", 64, "int64", gpr[RDX]), ONE(CORE, "rsi", 64, "int64", gpr[RSI]), ONE(CORE, "rdi", 64, "int64", gpr[RDI]),
	ONE(CORE, "rbp", 64, "data_ptr", gpr[RBP]), ONE(CORE, "rsp", 64, "data_ptr", gpr[RSP]),
	{ "r", "int64", CORE, PLAIN, 8, 8, 64, 8, AT(gpr[R8]), 8 },
	ONE(CORE, "rip", 64, "code_ptr", rip),
	{ "eflags", "i386_eflags", CORE, PLAIN, 1, 0, 32, 4, AT(rflags), 0 },
	ONE(CORE, "cs", 32, "int32", seg[SEG_CS].selector), ONE(CORE, "ss", 32, "int32", seg[SEG_SS].selector),
	ONE(CORE, "ds", 32, "int32", seg[SEG_DS].selector), ONE(CORE, "es", 32, "int32", seg[SEG_ES].selector),
	ONE(CORE, "fs", 32, "int32", seg[SEG_FS].selector), ONE(CORE, "gs", 32, "int32", seg[SEG_GS].selector),
	{ "st", "i387_ext", CORE, STACKED, 8, 0, 80, 10, AT(fpu.r), sizeof(struct x87_reg) },
	ONE(CORE, "fctrl", 32, "int", fpu.cw), ONE(CORE, "fstat", 32, "int", fpu.sw),
	{ "ftag", "int", CORE, TAGS, 1, 0, 32, 2, AT(fpu.tag), 0 },
	ONE(CORE, "fiseg", 32, "int", fpu.fcs), { "fioff", "int", CORE, PLAIN, 1, 0, 32, 4, AT(fpu.fip), 0 },
	ONE(CORE, "foseg", 32, "int", fpu.fds), { "fooff", "int", CORE, PLAIN, 1, 0, 32, 4, AT(fpu.fdp), 0 },
	ONE(CORE, "fop", 32, "int", fpu.fop),
	VECTORS(SSE, "xmm", 0, 16, 128, "vec128", 0),
	ONE(SSE, "mxcsr", 32, "i386_mxcsr", mxcsr),
	ONE(SEGMENTS, "fs_base", 64, "int64", seg[SEG_FS].base), ONE(SEGMENTS, "gs_base", 64, "int64", seg[SEG_GS].base),
	VECTORS(AVX, "ymm%uh", 0, 16, 128, "uint128", 16),
	VECTORS(AVX512, "xmm", 16, 16, 128, "vec128", 0),
	VECTORS(AVX512, "ymm%uh", 16, 16, 128, "uint128", 16),
	{ "k", "uint64", AVX512, PLAIN, 8, 0, 64, 8, AT(k), 8 },
	VECTORS(AVX512, "zmm%uh", 0, 32, 256, "v2ui128", 32),
	ONE(PKEYS, "pkru", 32, "int", pkru),
	ONE(SYSTEM, "cr0", 64, "int64", cr0), ONE(SYSTEM, "cr2", 64, "int64", cr2), ONE(SYSTEM, "cr3", 64, "int64", cr3),
	ONE(SYSTEM, "cr4", 64, "int64", cr4), { "cr8", "int64", SYSTEM, TPR, 1, 0, 64, 4, 0, 0 },
	ONE(SYSTEM, "efer", 64, "int64", msr.efer), ONE(SYSTEM, "xcr0", 64, "int64", xcr0),
	{ "dr", "int64", SYSTEM, PLAIN, 4, 0, 64, 8, AT(dr), 8 }, { "dr", "int64", SYSTEM, PLAIN, 2, 6, 64, 8, AT(dr[6]), 8 },
	ONE(SYSTEM, "k_gs_base", 64, "int64", msr.kernel_gs_base),
	ONE(SYSTEM, "cs_base", 64, "int64", seg[SEG_CS].base), ONE(SYSTEM, "ss_base", 64, "int64", seg[SEG_SS].base),
	ONE(SYSTEM, "ds_base", 64, "int64", seg[SEG_DS].base), ONE(SYSTEM, "es_base", 64, "int64", seg[SEG_ES].base),
	ONE(SYSTEM, "gdtr_base", 64, "int64", gdtr.base), ONE(SYSTEM, "gdtr_limit", 32, "int32", gdtr.limit),
	ONE(SYSTEM, "idtr_base", 64, "int64", idtr.base), ONE(SYSTEM, "idtr_limit", 32, "int32", idtr.limit),
	ONE(SYSTEM, "tr", 32, "int32", tr.selector), ONE(SYSTEM, "tr_base", 64, "int64", tr.base),
	ONE(SYSTEM, "ldtr", 32, "int32", ldtr.selector), ONE(SYSTEM, "ldtr_base", 64, "int64", ldtr.base),
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

/* ---- values ---------------------------------------------------------------------------------------------------- */

/* Tag of one register (SDM vol. 1, 8.1.7): 0 valid, 1 zero, 2 special, 3 empty. */
static unsigned tag_of(const struct x87 *f, unsigned p)
{
	const struct x87_reg *r = &f->r[p];
	const unsigned exponent = r->se & 0x7fff;

	if (!(f->tag >> p & 1))
		return 3;
	if (!exponent)
		return r->sig ? 2 : 1;
	return exponent == 0x7fff || !(r->sig >> 63) ? 2 : 0;
}

static uint16_t get_tags(const struct x87 *f)
{
	unsigned tags = 0;

	for (unsigned p = 0; p < X87_REGS; p++)
		tags |= tag_of(f, p) << 2 * p;
	return (uint16_t)tags;
}

static void set_tags(struct x87 *f, unsigned tags)
{
	f->tag = 0;
	for (unsigned p = 0; p < X87_REGS; p++)
		f->tag = (uint8_t)(f->tag | ((tags >> 2 * p & 3) != 3) << p);
}

/* Where the n-th register of a row stands in the state. */
static size_t place_of(const struct engine_state *s, const struct row *r, unsigned n)
{
	if (r->form == STACKED)
		n = (n + (s->cpu.fpu.sw >> TOP_SHIFT)) % X87_REGS;
	return r->offset + (size_t)n * r->stride;
}

static void get(const struct engine_state *s, const struct row *r, unsigned n, uint8_t *out)
{
	const uint32_t tpr = s->apic.reg[APIC_TPR_AT] >> 4 & 15;
	const uint16_t tags = get_tags(&s->cpu.fpu);
	const void *from = (const uint8_t *)s + place_of(s, r, n);

	if (r->form == TAGS)
		from = &tags;
	else if (r->form == TPR)
		from = &tpr;
	memset(out, 0, r->bits / 8);
	memcpy(out, from, r->bytes);
}

static void set(struct engine_state *s, const struct row *r, unsigned n, const uint8_t *in)
{
	if (r->form == TAGS)
		set_tags(&s->cpu.fpu, in[0] | (unsigned)in[1] << 8);
	else if (r->form != TPR)
		memcpy((uint8_t *)s + place_of(s, r, n), in, r->bytes);
}

/* The row of a number, which becomes the index in it; NULL: there is none. */
static const struct row *find(unsigned *number)
{
	for (unsigned i = 0; i < ROWS; i++) {
		if (*number < rows[i].count)
			return &rows[i];
		*number -= rows[i].count;
	}
	return NULL;
}

unsigned register_size(unsigned number)
{
	const struct row *r = find(&number);

	return r ? r->bits / 8 : 0;
}

unsigned register_get(const struct engine_state *s, unsigned number, uint8_t out[REGISTER_MAX])
{
	const struct row *r = find(&number);

	if (r)
		get(s, r, number, out);
	return r ? r->bits / 8 : 0;
}

void register_set(struct engine_state *s, unsigned number, const uint8_t in[REGISTER_MAX])
{
	const struct row *r = find(&number);

	if (r)
		set(s, r, number, in);
}

unsigned registers_size(void)
{
	unsigned bytes = 0;

	for (unsigned i = 0; i < ROWS; i++)
		bytes += rows[i].count * rows[i].bits / 8u;
	return bytes;
}

void registers_get_all(const struct engine_state *s, uint8_t *out)
{
	for (unsigned i = 0; i < ROWS; i++)
		for (unsigned n = 0; n < rows[i].count; n++, out += rows[i].bits / 8)
			get(s, &rows[i], n, out);
}

/* In the table's order, so that the top of the x87's stack is still the old one when its registers are set: gdb has them by
 * that one. */
void registers_set_all(struct engine_state *s, const uint8_t *in)
{
	for (unsigned i = 0; i < ROWS; i++)
		for (unsigned n = 0; n < rows[i].count; n++, in += rows[i].bits / 8)
			set(s, &rows[i], n, in);
}

/* ---- description ----------------------------------------------------------------------------------------------- */

#define VEC128                                                                                                             \
	"<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/><vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"       \
	"<vector id=\"v16i8\" type=\"int8\" count=\"16\"/><vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"               \
	"<vector id=\"v4i32\" type=\"int32\" count=\"4\"/><vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"               \
	"<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/>"             \
	"<field name=\"v16_int8\" type=\"v16i8\"/><field name=\"v8_int16\" type=\"v8i16\"/>"                               \
	"<field name=\"v4_int32\" type=\"v4i32\"/><field name=\"v2_int64\" type=\"v2i64\"/>"                               \
	"<field name=\"uint128\" type=\"uint128\"/></union>\n"
#define FLAG(name, bit) "<field name=\"" name "\" start=\"" #bit "\" end=\"" #bit "\"/>"

static const struct {
	const char *name, *types;
} features[FEATURES] = {
	[CORE] = { "org.gnu.gdb.i386.core", "<flags id=\"i386_eflags\" size=\"4\">"
		   FLAG("CF", 0) FLAG("", 1) FLAG("PF", 2) FLAG("AF", 4) FLAG("ZF", 6) FLAG("SF", 7) FLAG("TF", 8) FLAG("IF", 9)
		   FLAG("DF", 10) FLAG("OF", 11) FLAG("NT", 14) FLAG("RF", 16) FLAG("VM", 17) FLAG("AC", 18) FLAG("VIF", 19)
		   FLAG("VIP", 20) FLAG("ID", 21) "</flags>\n" },
	[SSE] = { "org.gnu.gdb.i386.sse", VEC128 "<flags id=\"i386_mxcsr\" size=\"4\">"
		  FLAG("IE", 0) FLAG("DE", 1) FLAG("ZE", 2) FLAG("OE", 3) FLAG("UE", 4) FLAG("PE", 5) FLAG("DAZ", 6) FLAG("IM", 7)
		  FLAG("DM", 8) FLAG("ZM", 9) FLAG("OM", 10) FLAG("UM", 11) FLAG("PM", 12) FLAG("FZ", 15) "</flags>\n" },
	[SEGMENTS] = { "org.gnu.gdb.i386.segments", "" },
	[AVX] = { "org.gnu.gdb.i386.avx", "" },
	[AVX512] = { "org.gnu.gdb.i386.avx512", VEC128 "<vector id=\"v2ui128\" type=\"uint128\" count=\"2\"/>\n" },
	[PKEYS] = { "org.gnu.gdb.i386.pkeys", "" },
	[SYSTEM] = { "org.bulkhead.system", "" },
};

struct xml {
	char *text;
	size_t len;
};

static void __attribute__((format(printf, 2, 3))) add(struct xml *x, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(x->text + x->len, REGISTERS_XML_MAX - x->len, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < REGISTERS_XML_MAX - x->len)
		x->len += (size_t)n;
}

/* "ymm%uh" has its number in the middle, the others at their end. */
static void describe_row(struct xml *x, const struct row *r)
{
	const char *rest = strchr(r->name, '%');
	int stem = rest ? (int)(rest - r->name) : (int)strlen(r->name);

	for (unsigned n = 0; n < r->count; n++) {
		add(x, "<reg name=\"%.*s", stem, r->name);
		if (r->count > 1)
			add(x, "%u%s", r->first + n, rest ? rest + 2 : "");
		add(x, "\" bitsize=\"%u\" type=\"%s\"/>\n", r->bits, r->type);
	}
}

size_t registers_describe(char xml[REGISTERS_XML_MAX])
{
	struct xml x = { xml, 0 };
	int open = -1;

	add(&x, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM "
		"\"gdb-target.dtd\"><target><architecture>i386:x86-64</architecture>\n");
	for (unsigned i = 0; i < ROWS; i++) {
		if (rows[i].feature != open)
			add(&x, "%s<feature name=\"%s\">\n%s", open < 0 ? "" : "</feature>", features[rows[i].feature].name,
			    features[rows[i].feature].types);
		open = rows[i].feature;
		describe_row(&x, &rows[i]);
	}
	add(&x, "</feature></target>\n");
	return x.len;
}
