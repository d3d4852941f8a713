/* SPDX-License-Identifier: MIT */
/* A machine's options as a file that starts the same one: vm.toml(5). */
#ifndef BULKHEAD_VMM_CONFIG_TEXT_H
#define BULKHEAD_VMM_CONFIG_TEXT_H

#include "config.h"

#include <stdio.h>

#define CONFIG_TEXT_NAME "vm.toml" /* in the machine's directory */

/* Everything that is not the default, with paths that hold from everywhere. */
void config_text_write(FILE *out, const struct vm_config *config);

#endif
