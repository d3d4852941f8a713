/* SPDX-License-Identifier: MIT */
/* What the processors of a machine have: the model that was asked for, of what the emulator and this host can do. */
#include "run.h"
#include "emu/core/machine.h"
#include "emu/core/tsc.h"
#include "emu/isa/isa.h"
#include "emu/model/features.h"
#include "emu/sem/fp/fp.h"
#include "emu/sem/fp/provider.h"

#include <string.h>

/* What only the host's own unit computes (sem/fp/provider.h) is missing where it is. */
static struct cpu_feature_set computable(void)
{
	struct cpu_feature_set s = cpu_emulated();

	if (!fp_has_fma())
		cpu_remove(&s, CPUF_FMA);
	if (!fp_has_f16c())
		cpu_remove(&s, CPUF_F16C);
	if (!fp_has_fma() || !fp_has_f16c()) /* AVX-512 has both of its own */
		cpu_remove(&s, CPUF_AVX512F);
	cpu_drop_unmet(&s);
	return s;
}

static void derive(struct machine *m)
{
	_Static_assert(FEAT_COUNT <= sizeof(m->isa_features) * 8, "a bit for each");
	memset(m->isa_features, 0, sizeof(m->isa_features));
	m->isa_features[0] = 1ull << FEAT_BASE;
	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		if (cpu_has(&m->features, f))
			m->isa_features[cpu_features[f].isa / 64] |= 1ull << (cpu_features[f].isa % 64);
	m->cr4_supported = cpu_cr4_bits(&m->features) | CR4_PCE;
	m->xcr0_supported = cpu_xcr0_bits(&m->features) & EMU_XCR0_SUPPORTED;
}

int machine_init(struct machine *m)
{
	char error[CPU_MODEL_ERROR_MAX] = "";
	struct cpu_feature_set available;
	struct cpu_model model;
	int r = 0;

	pthread_mutex_init(&m->split_lock, NULL);
	if (!m->config.lent) /* it is never asked then */
		emu_tsc_init();
	m->tsc_khz = m->config.tsc_khz;
	m->tsc_is_hosts = m->config.tsc_is_hosts && m->tsc_khz && emu_tsc_has_hosts();
	m->moment = emu_tsc_moment(m);
	fp_provider_init();
	available = computable();
	if (m->config.cpu)
		model = *m->config.cpu;
	else
		r = cpu_model_parse(&model, "max", error);
	m->config.cpu = NULL; /* the caller's */
	if (r == 0)
		r = cpu_model_resolve(&model, &available, "the emulator", &m->features, error);
	if (r && m->config.cpu_error)
		memcpy(m->config.cpu_error, error, sizeof(error));
	m->config.cpu_error = NULL;
	if (m->config.no_tsc_deadline)
		cpu_remove(&m->features, CPUF_TSC_DEADLINE);
	derive(m);
	return r;
}
