/* SPDX-License-Identifier: MIT */
/* Accesses as text: io_text.h. */
#include "io_text.h"

#include "devices/model.h"
#include "proto/reg.h"

#include <stdio.h>
#include <string.h>

static const struct model_range *range_of(const struct trace_io *i)
{
	const struct kind_row *kind = kind_of_role(i->role);
	const struct device_model *model = kind ? device_models[kind - kind_rows] : NULL;

	return model && i->range < model->range_count ? &model->ranges[i->range] : NULL;
}

void io_register_name(const struct trace_io *i, char *out, size_t len)
{
	const struct model_range *range = range_of(i);
	size_t used = (size_t)snprintf(out, len, "%s", range ? range->name : "");
	char separator = '.';

	for (unsigned n = 0; range && n < range->reg_count && used < len; n++) {
		const struct reg_desc *r = &range->regs[n];

		if (r->offset != i->offset || !(i->write ? r->writable : r->readable))
			continue;
		used += (size_t)snprintf(out + used, len - used, "%c%s", separator, r->name);
		separator = '/';
	}
}

static void device_name(const struct trace_io *i, char out[KIND_NAME_MAX])
{
	const struct kind_row *kind = kind_of_role(i->role);

	if (kind)
		kind_process_name(kind, i->instance, out);
	else
		snprintf(out, KIND_NAME_MAX, "-");
}

static void put_line(struct sink *out, const struct trace_io *i)
{
	char device[KIND_NAME_MAX];

	device_name(i, device);
	sink_print(out, "%14.6f vcpu%u %-10s interrupt vector 0x%02llx%s\n", (double)i->head.when_ns / 1e9, i->head.vcpu, device,
		   (unsigned long long)i->address, i->way == TRACE_WAITED ? " from the 8259" : "");
}

void io_text(struct sink *out, const struct trace_io *i)
{
	static const char *const ways[TRACE_WAYS] = { "posted", "waited", "shadow", "dropped", "nobody" };
	char device[KIND_NAME_MAX], reg[64];

	if (i->space == TRACE_LINE) {
		put_line(out, i);
		return;
	}
	device_name(i, device);
	io_register_name(i, reg, sizeof(reg));
	sink_print(out, "%14.6f vcpu%u %-10s %-5s %s 0x%04llx %u %-16s %s 0x%0*llx", (double)i->head.when_ns / 1e9, i->head.vcpu,
		   device, i->write ? "write" : "read", i->space == TRACE_PORT ? "port" : "mmio", (unsigned long long)i->address,
		   i->size, reg[0] ? reg : "-", i->write ? "<-" : "->", i->size <= 8 ? i->size * 2 : 16,
		   (unsigned long long)i->data);
	if (i->count > 1)
		sink_print(out, " (%u items)", i->count);
	sink_print(out, " %s", ways[i->way]);
	if (i->way == TRACE_WAITED && i->took_ns)
		sink_print(out, " %llu ns", (unsigned long long)i->took_ns);
	sink_print(out, "\n");
}
