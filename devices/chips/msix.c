/* SPDX-License-Identifier: MIT */
/* The MSI-X table: see msix.h. */
#include "msix.h"

#include <string.h>

enum { ADDRESS = 0, DATA = 8, CONTROL = 12, MASKED = 1 };

/* 6.8.2.7 to 6.8.2.9: the address is of a doubleword; of vector control there is one bit. */
static uint8_t write_mask(unsigned at)
{
	if (at % MSIX_ENTRY_BYTES == ADDRESS)
		return 0xfc;
	if (at % MSIX_ENTRY_BYTES >= CONTROL)
		return at % MSIX_ENTRY_BYTES == CONTROL ? MASKED : 0;
	return 0xff;
}

void msix_reset(struct msix *m)
{
	memset(m, 0, sizeof(*m));
	for (unsigned n = 0; n < VIRTIO_VECTORS; n++)
		m->table[n * MSIX_ENTRY_BYTES + CONTROL] = MASKED;
}

uint64_t msix_read(const struct msix *m, uint32_t offset, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size && i < 8; i++)
		if (offset + i < MSIX_TABLE_BYTES)
			value |= (uint64_t)m->table[offset + i] << 8 * i;
	return value;
}

void msix_write(struct msix *m, uint32_t offset, uint64_t data, unsigned size)
{
	for (unsigned i = 0; i < size && i < 8 && offset + i < MSIX_TABLE_BYTES; i++)
		m->table[offset + i] = (uint8_t)(data >> 8 * i) & write_mask(offset + i);
}

struct virtio_message msix_message(const struct msix *m, unsigned n)
{
	uint32_t at = n * MSIX_ENTRY_BYTES;

	return (struct virtio_message){
		.on = !(m->table[at + CONTROL] & MASKED),
		.addr = msix_read(m, at + ADDRESS, 8),
		.data = (uint32_t)msix_read(m, at + DATA, 4),
	};
}

const char *msix_check(const struct msix *m)
{
	for (unsigned i = 0; i < MSIX_TABLE_BYTES; i++)
		if (m->table[i] & ~write_mask(i))
			return "msix.table";
	return m->pending >> VIRTIO_VECTORS ? "msix.pending" : NULL;
}
