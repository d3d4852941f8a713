/* SPDX-License-Identifier: MIT */
/* Asking KVM: host.h. A machine without processors or memory is made and closed at once. */
#include "read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static void read_modules(struct host_facts *f)
{
	DIR *dir = opendir("/sys/module");
	struct dirent *entry;
	char line[8];

	while (dir && (entry = readdir(dir)) != NULL) {
		const size_t used = strlen(f->kvm.modules), len = strlen(entry->d_name);

		if (strncmp(entry->d_name, "kvm", 3) || used + len + 2 > sizeof(f->kvm.modules))
			continue;
		if (used)
			strcat(f->kvm.modules, " ");
		strcat(f->kvm.modules, entry->d_name);
	}
	if (dir)
		closedir(dir);
	host_read_line(f->has_svm ? "/sys/module/kvm_amd/parameters/nested" : "/sys/module/kvm_intel/parameters/nested", line,
		       sizeof(line));
	f->kvm.nested = line[0];
}

/* A machine's own descriptor answers more exactly (KVM_CAP_CHECK_EXTENSION_VM); /dev/kvm answers if none can be made. */
static void read_capabilities(struct host_facts *f, int kvm)
{
	const int vm = ioctl(kvm, KVM_CREATE_VM, 0), fd = vm >= 0 ? vm : kvm;

	f->kvm.vm_err = vm < 0 ? errno : 0;
	for (unsigned c = 0; c < HOST_CAPABILITIES; c++)
		f->kvm.capability[c] = ioctl(fd, KVM_CHECK_EXTENSION, (unsigned long)host_capability_rows[c].number);
	if (vm >= 0)
		close(vm);
}

void host_read_kvm(struct host_facts *f)
{
	struct stat st;
	int fd;

	read_modules(f);
	f->kvm.is_there = stat("/dev/kvm", &st) == 0;
	if (f->kvm.is_there) {
		f->kvm.mode = st.st_mode;
		f->kvm.uid = st.st_uid;
		f->kvm.gid = st.st_gid;
	}
	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		f->kvm.err = errno;
		return;
	}
	f->kvm.api = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (f->kvm.api == KVM_API_VERSION)
		read_capabilities(f, fd);
	close(fd);
}
