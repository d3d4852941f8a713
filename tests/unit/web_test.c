/* SPDX-License-Identifier: MIT */
/* Which files a browser may have (web.h). */
#include "vmm/cli/web.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void expect(const char *path, const char *wanted)
{
	char *found = web_file_of("secret", path);

	cr_expect(wanted ? found && !strcmp(found, wanted) : !found, "%s: %s", path, found ? found : "nothing");
	free(found);
}

Test(web, what_lies_below_the_token)
{
	expect("/secret/vnc.html", "vnc.html");
	expect("/secret/core/input/keysym.js", "core/input/keysym.js");
	expect("/secret/a%20b", "a b");
	expect("/secret/", NULL);
	expect("/secret", NULL);
	expect("/secre/vnc.html", NULL);
	expect("/secrets/vnc.html", NULL);
	expect("/vnc.html", NULL);
	expect("//secret/vnc.html", NULL);
	expect("secret/vnc.html", NULL);
	expect("", NULL);
}

Test(web, no_way_out)
{
	expect("/secret/../x", NULL);
	expect("/secret/a/../../x", NULL);
	expect("/secret/%2e%2e/x", NULL);
	expect("/secret/.%2E/x", NULL);
	expect("/secret//etc/passwd", NULL);
	expect("/secret/%2fetc/passwd", NULL);
	expect("/secret/vnc.html%00.js", NULL);
}

Test(web, content_types)
{
	cr_expect_str_eq(web_content_type("a/b.min.js"), "text/javascript; charset=utf-8");
	cr_expect_str_eq(web_content_type("vnc.html"), "text/html; charset=utf-8");
	cr_expect_str_eq(web_content_type("LICENSE"), "application/octet-stream");
}
