/* SPDX-License-Identifier: MIT */
/* Asking KVM, and measuring it with a scratch machine: host.h. */
#include "read.h"

#include <dirent.h>
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

static void read_capabilities(struct host_facts *f, int kvm)
{
	for (unsigned c = 0; c < HOST_CAPABILITIES_MAX && kvm_caps[c].name; c++)
		f->kvm.capability[c] = kvm_cap(kvm, kvm_caps[c].number);
	f->kvm.recommended_vcpus = kvm_cap(kvm, KVM_CAP_NR_VCPUS);
	f->kvm.max_vcpus = kvm_cap(kvm, KVM_CAP_MAX_VCPUS);
}

void host_read_kvm(struct host_facts *f)
{
	struct stat st;
	int fd;

	read_modules(f);
	if (!stat("/dev/kvm", &st)) {
		f->kvm.mode = st.st_mode;
		f->kvm.uid = st.st_uid;
		f->kvm.gid = st.st_gid;
	}
	fd = kvm_open();
	kvm_probe(fd, &f->kvm.probe);
	if (fd < 0) {
		f->kvm.err = -fd;
		return;
	}
	f->kvm.api = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (f->kvm.api == KVM_API_VERSION)
		read_capabilities(f, fd);
	close(fd);
}
