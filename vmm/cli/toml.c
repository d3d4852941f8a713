/* SPDX-License-Identifier: MIT */
/* Keys, tables, arrays, and who may add what to which: toml.h. */
#include "toml_reader.h"

#include <errno.h>
#include <string.h>

#define BARE "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

static int take_value(struct toml_reader *r, struct toml_value *v);

/* One part of a key: bare, or quoted on one line. */
static int take_simple_key(struct toml_reader *r, struct toml_text *key)
{
	if (*r->at == '"' || *r->at == '\'')
		return toml_string(r, false, key);
	key->len = strspn(r->at, BARE);
	if (!key->len)
		return toml_fail(r, r->at,
				 r->at < r->end && *r->at != '\n' && *r->at != '\r'
					 ? "here stands no key; other letters need quotation marks"
					 : "a key is missing");
	key->bytes = toml_alloc(r->doc, key->len + 1);
	if (!key->bytes)
		return -ENOMEM;
	memcpy(key->bytes, r->at, key->len);
	r->at += key->len;
	return 0;
}

/* The next part of a key, and whether another follows behind a dot. */
static int take_key_part(struct toml_reader *r, struct toml_text *key, bool *more)
{
	int rc;

	toml_skip_blanks(r);
	rc = take_simple_key(r, key);
	if (rc)
		return rc;
	toml_skip_blanks(r);
	*more = *r->at == '.';
	r->at += *more;
	return 0;
}

static struct toml_value *find(const struct toml_value *table, const struct toml_text *key)
{
	for (struct toml_value *v = table->list.first; v; v = v->next)
		if (v->key.len == key->len && !memcmp(v->key.bytes, key->bytes, key->len))
			return v;
	return NULL;
}

/* A new value at the end of a table or array. */
static struct toml_value *append(struct toml_reader *r, struct toml_value *list, const struct toml_text *key,
				 enum toml_type type)
{
	struct toml_value *v = toml_alloc(r->doc, sizeof(*v));

	if (!v)
		return NULL;
	v->type = type;
	v->line = r->line;
	v->column = (unsigned)(r->at - r->line_start) + 1;
	if (key)
		v->key = *key;
	if (list->list.last)
		list->list.last->next = v;
	else
		list->list.first = v;
	list->list.last = v;
	return v;
}

static int defined_before(struct toml_reader *r, const char *at, const struct toml_value *v)
{
	return toml_fail(r, at, "%.60s is already there, in line %u", v->key.bytes, v->line);
}

/*
 * "Keys": each part of a dotted key but the last is a table, made if it is not there. One that has a header of its own, or
 * was made by dotted keys under another header, is complete, and so is an inline table.
 */
static int enter_dotted(struct toml_reader *r, const char *at, struct toml_value **table, const struct toml_text *key)
{
	struct toml_value *v = find(*table, key);

	if (!v)
		v = append(r, *table, key, TOML_TABLE);
	if (!v)
		return -ENOMEM;
	if (v->type != TOML_TABLE || v->is_closed || v->has_header || (v->dotted_under && v->dotted_under != r->header))
		return defined_before(r, at, v);
	v->dotted_under = r->header;
	*table = v;
	return 0;
}

/* "Keyval": into `table`. */
static int take_pair(struct toml_reader *r, struct toml_value *table)
{
	const char *begin = r->at;
	struct toml_text key;
	struct toml_value *v;
	bool more;
	int rc = take_key_part(r, &key, &more);

	while (!rc && more) {
		rc = enter_dotted(r, begin, &table, &key);
		if (!rc)
			rc = take_key_part(r, &key, &more);
	}
	if (rc)
		return rc;
	v = find(table, &key);
	if (v)
		return defined_before(r, begin, v);
	if (*r->at != '=')
		return toml_fail(r, r->at, "a = is missing after the key");
	v = append(r, table, &key, TOML_STRING);
	if (!v)
		return -ENOMEM;
	v->column = (unsigned)(begin - r->line_start) + 1;
	r->at++;
	toml_skip_blanks(r);
	return take_value(r, v);
}

/* "Array": values, commas, one more of which may stand at the end; comments and newlines anywhere. */
static int take_array(struct toml_reader *r, struct toml_value *array)
{
	int rc = 0;

	array->type = TOML_ARRAY;
	for (r->at++; !rc;) {
		struct toml_value *v;

		rc = toml_skip_lines(r);
		if (rc || *r->at == ']')
			break;
		v = append(r, array, NULL, TOML_STRING);
		rc = v ? take_value(r, v) : -ENOMEM;
		if (!rc)
			rc = toml_skip_lines(r);
		if (rc || *r->at == ']')
			break;
		if (*r->at != ',')
			return toml_fail(r, r->at, "a comma or ] is missing in the array");
		r->at++;
	}
	r->at += !rc;
	array->is_closed = true;
	return rc;
}

/* "Inline Table": on one line, no comma at the end, and complete. Its dotted keys are its own. */
static int take_inline_table(struct toml_reader *r, struct toml_value *table)
{
	unsigned header = r->header;
	int rc = 0;

	table->type = TOML_TABLE;
	r->header = ++r->headers;
	r->at++;
	toml_skip_blanks(r);
	if (*r->at != '}')
		for (;;) {
			rc = take_pair(r, table);
			if (rc)
				return rc;
			toml_skip_blanks(r);
			if (*r->at != ',')
				break;
			r->at++;
			toml_skip_blanks(r);
		}
	if (*r->at != '}')
		return toml_fail(r, r->at, "a comma or } is missing in the inline table, which is one line");
	r->at++;
	table->is_closed = true;
	r->header = header;
	return 0;
}

static int take_value(struct toml_reader *r, struct toml_value *v)
{
	int rc;

	if (*r->at == '"' || *r->at == '\'') {
		v->type = TOML_STRING;
		return toml_string(r, true, &v->text);
	}
	if (*r->at != '[' && *r->at != '{')
		return toml_scalar(r, v);
	if (r->depth == TOML_DEPTH)
		return toml_fail(r, r->at, "nested more than %d deep", TOML_DEPTH);
	r->depth++;
	v->list.first = v->list.last = NULL;
	rc = *r->at == '[' ? take_array(r, v) : take_inline_table(r, v);
	r->depth--;
	return rc;
}

/* "Table": the parts of a header but the last are tables, made if they are not there; of an array of tables the last. */
static int enter_header(struct toml_reader *r, const char *at, struct toml_value **table, const struct toml_text *key)
{
	struct toml_value *v = find(*table, key);

	if (!v)
		v = append(r, *table, key, TOML_TABLE);
	if (!v)
		return -ENOMEM;
	if ((v->type != TOML_TABLE && v->type != TOML_ARRAY) || v->is_closed)
		return defined_before(r, at, v);
	*table = v->type == TOML_ARRAY ? v->list.last : v;
	return 0;
}

static int open_table(struct toml_reader *r, const char *at, struct toml_value **table, const struct toml_text *key)
{
	struct toml_value *v = find(*table, key);

	if (!v)
		v = append(r, *table, key, TOML_TABLE);
	if (!v)
		return -ENOMEM;
	if (v->type != TOML_TABLE || v->is_closed || v->has_header || v->dotted_under)
		return defined_before(r, at, v);
	v->has_header = true;
	*table = v;
	return 0;
}

/* "Array of Tables": another one. */
static int open_element(struct toml_reader *r, const char *at, struct toml_value **table, const struct toml_text *key)
{
	struct toml_value *v = find(*table, key);

	if (!v)
		v = append(r, *table, key, TOML_ARRAY);
	if (!v)
		return -ENOMEM;
	if (v->type != TOML_ARRAY || v->is_closed)
		return defined_before(r, at, v);
	*table = append(r, v, NULL, TOML_TABLE);
	if (!*table)
		return -ENOMEM;
	(*table)->has_header = true;
	return 0;
}

/* [a.b] or [[a.b]]: *table is what the pairs below it belong to. */
static int take_header(struct toml_reader *r, struct toml_value **table)
{
	const char *begin = r->at;
	bool is_array = r->at[1] == '[', more;
	struct toml_value *at = &r->doc->root;
	struct toml_text key;
	int rc;

	r->at += is_array ? 2 : 1;
	rc = take_key_part(r, &key, &more);
	while (!rc && more) {
		rc = enter_header(r, begin, &at, &key);
		if (!rc)
			rc = take_key_part(r, &key, &more);
	}
	if (rc)
		return rc;
	if (r->at[0] != ']' || (is_array && r->at[1] != ']'))
		return toml_fail(r, r->at, "the table's header does not end in %s", is_array ? "]]" : "]");
	rc = is_array ? open_element(r, begin, &at, &key) : open_table(r, begin, &at, &key);
	r->at += is_array ? 2 : 1;
	r->header = ++r->headers;
	*table = at;
	return rc;
}

/* "There must be a newline (or EOF) after a key/value pair", and after a header. */
static int take_line_end(struct toml_reader *r)
{
	int rc = toml_skip_comment(r);

	if (rc || r->at >= r->end || toml_take_newline(r))
		return rc;
	return toml_fail(r, r->at, "here the line should end");
}

int toml_read(struct toml *doc, const char *text, size_t len)
{
	struct toml_reader r = { .doc = doc, .line = 1, .header = 1, .headers = 1 };
	struct toml_value *table = &doc->root;
	char *copy;
	int rc;

	*doc = (struct toml){ .root = { .type = TOML_TABLE, .line = 1, .column = 1, .has_header = true } };
	copy = toml_alloc(doc, len + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, len);
	r.at = r.line_start = copy;
	r.end = copy + len;
	rc = toml_check_utf8(&r);
	while (!rc && !(rc = toml_skip_lines(&r)) && r.at < r.end) {
		rc = *r.at == '[' ? take_header(&r, &table) : take_pair(&r, table);
		if (!rc)
			rc = take_line_end(&r);
	}
	return rc;
}

const char *toml_type_name(enum toml_type type)
{
	static const char *const names[] = {
		"a string",	     "an integer",   "a float",	     "a boolean", "an offset date-time",
		"a local date-time", "a local date", "a local time", "an array",  "a table",
	};

	return (unsigned)type < sizeof(names) / sizeof(names[0]) ? names[type] : "?";
}
