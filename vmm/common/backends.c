/* SPDX-License-Identifier: MIT */
/* Values of --disk and its like: backends.h. */
#include "backends.h"
#include "screen_size.h"

#include "../../proto/disk.h"
#include "../../proto/net.h"
#include "../../proto/share.h"

#include <errno.h>
#include <string.h>

static int check_disk(const char *text, const char **why)
{
	struct disk_spec spec;

	return disk_parse(text, &spec, why);
}

static int check_net(const char *text, const char **why)
{
	struct net_spec spec;

	return net_parse(text, &spec, why);
}

static int check_gpu(const char *text, const char **why)
{
	uint32_t width, height;
	int rc = screen_size_parse(text, &width, &height);

	*why = rc == -ERANGE ? "a screen has 64 to 4096 columns and rows, and 4194304 pixels at most"
			     : "write the size of its screen, such as 1024x768";
	return rc ? -EINVAL : 0;
}

static int check_share(const char *text, const char **why)
{
	struct share_spec spec;

	return share_parse(text, &spec, why);
}

/* Those that are missing take no value. */
static int (*const checks[KIND_COUNT])(const char *text, const char **why) = {
	[KIND_BLKD] = check_disk,
	[KIND_NETD] = check_net,
	[KIND_GPUD] = check_gpu,
	[KIND_FSD] = check_share,
};

int backend_check(enum kind kind, const char *text, const char **why)
{
	return checks[kind] ? checks[kind](text, why) : 0;
}

const char *backend_path(enum kind kind, const char *text)
{
	if (kind == KIND_GPUD)
		return NULL;
	if (kind == KIND_NETD)
		return strncmp(text, "pair=", 5) ? NULL : text + 5;
	if (kind == KIND_FSD)
		return share_path_of(text);
	return disk_name_of(text);
}
