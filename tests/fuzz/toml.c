/* SPDX-License-Identifier: MIT */
/* vm.toml as anybody may write it: a tree in which everything holds together, or a place in the text and what is wrong there. */
#include "fuzz.h"
#include "vmm/cli/toml.h"

#include <errno.h>

static unsigned lines_of(const uint8_t *data, size_t size)
{
	unsigned n = 1;

	for (size_t i = 0; i < size; i++)
		n += data[i] == '\n';
	return n;
}

static void check_text(const struct toml_text *t)
{
	CHECK(t->bytes && t->bytes[t->len] == 0);
}

/* No key twice; places within the text; texts end. */
static void check_value(const struct toml_value *v, unsigned lines, unsigned depth)
{
	CHECK(v->line >= 1 && v->line <= lines && v->column >= 1 && (unsigned)v->type <= TOML_TABLE && depth < 4096);
	if (v->type == TOML_STRING)
		check_text(&v->text);
	if (v->type != TOML_ARRAY && v->type != TOML_TABLE)
		return;
	for (const struct toml_value *e = v->list.first; e; e = e->next) {
		CHECK(e->next || e == v->list.last);
		check_value(e, lines, depth + 1);
		if (v->type != TOML_TABLE)
			continue;
		check_text(&e->key);
		for (const struct toml_value *other = e->next; other; other = other->next)
			CHECK(other->key.len != e->key.len || memcmp(other->key.bytes, e->key.bytes, e->key.len));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_alloc(size + 1);
	struct toml doc;
	int rc;

	memcpy(text, data, size);
	rc = toml_read(&doc, text, size);
	CHECK(rc == 0 || rc == -EINVAL);
	if (rc)
		CHECK(doc.line >= 1 && doc.line <= lines_of(data, size) && doc.column >= 1 && doc.error[0]);
	else
		check_value(&doc.root, lines_of(data, size), 0);
	toml_free(&doc);
	free(text);
	return 0;
}
