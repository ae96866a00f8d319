// SPDX-License-Identifier: GPL-2.0-only
/* The machine as a whole: build it step by step, reset it, run and stop it, take it apart. */
#include "machine/machine.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <x86intrin.h>

#include "lib/log.h"
#include "lib/util.h"
#include "machine/boot/boot.h"
#include "machine/cpuid.h"
#include "machine/dev/pm.h"
#include "machine/dev/rtc.h"
#include "machine/dev/serial.h"
#include "machine/dev/testdev.h"
#include "machine/gen1.h"
#include "machine/hyperv.h"
#include "machine/irq.h"
#include "machine/machine_state.h"
#include "machine/mem.h"
#include "machine/mem_lazy.h"
#include "machine/mem_post.h"
#include "machine/mem_uffd.h"
#include "machine/vcpu.h"

/* ---- vCPU threads: stand and go ---- */

static void kick_all(void *arg)
{
	struct machine *m = arg;
	u32 i;

	for (i = 0; i < m->cfg.cpus; i++)
		vcpu_kick(&m->vcpus[i]);
}

void machine_stand(struct machine *m)
{
	park_all(&m->park, m->cfg.cpus, kick_all, m);
}

bool machine_try_stand(struct machine *m)
{
	return park_try(&m->park, m->cfg.cpus, kick_all, m);
}

void machine_go(struct machine *m)
{
	park_go(&m->park);
}

void machine_hold(struct machine *m)
{
	park_ask(&m->park);
}

/* ---- pause: guest time stands still ---- */

/*
 * TSC and reference counter go on where they stood, or the guest's watchdogs would see
 * a CPU stuck for as long as the pause was. The wall clock is then behind; time sync
 * tells the guest to step it.
 */
void machine_stop_clock(struct machine *m)
{
	ioctl(m->vm_fd, KVM_GET_CLOCK, &m->paused_clock);
	m->paused_at_tsc = __rdtsc();
}

void machine_start_clock(struct machine *m)
{
	struct kvm_clock_data clock = { .clock = m->paused_clock.clock };
	u64 delta = guest_tsc_at(&m->tsc, __rdtsc()) - guest_tsc_at(&m->tsc, m->paused_at_tsc);
	u32 i;

	for (i = 0; i < m->cfg.cpus; i++) {
		if (vcpu_shift_tsc(&m->vcpus[i], delta))
			return; /* an old kernel: time goes on during the pause */
	}
	ioctl(m->vm_fd, KVM_SET_CLOCK, &clock);
}

/* ---- reset ---- */

int machine_reset(struct machine *m)
{
	int err = 0;
	u32 i;

	for (i = 0; i < 3; i++)
		ioctl(m->vm_fd, KVM_SET_IRQCHIP, &m->irqchip0[i]);
	ioctl(m->vm_fd, KVM_SET_PIT2, &m->pit0);
	for (i = 0; i < m->cfg.cpus; i++) {
		err = vcpu_reset(&m->vcpus[i]);
		if (err) {
			kvmb_err(m->name, "KVM does not accept the power-on state of vCPU %u: "
					  "%s", i,
				 strerror(-err));
			return err;
		}
	}
	serial_reset(m->serial);
	rtc_reset(m->rtc);
	pm_reset(m);
	if (m->gen1)
		gen1_enter(m->gen1);
	else
		err = boot_enter(m);
	m->boots += !err;
	return err;
}

/* ---- construction; each step says what went wrong, and machine_close() cleans up ---- */

static int step_failed(const struct machine *m, const char *what, int err)
{
	kvmb_err(m->name, "%s: %s", what, strerror(-err));
	return err;
}

static int open_kvm(struct machine *m)
{
	char why[256];
	int err;

	m->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (m->kvm_fd < 0) {
		err = -errno;
		kvmb_err(m->name, "/dev/kvm: %s; %s", strerror(-err),
			 err == -EACCES ? "join the kvm group" :
			 "load the kvm module, or use the lab (`make demo`, tests/lab/l1)");
		return err;
	}
	err = hyperv_check(m->kvm_fd, why, sizeof(why));
	if (err) {
		kvmb_err(m->name, "%s", why);
		return err;
	}
	m->run_size = (size_t)ioctl(m->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	m->vm_fd = ioctl(m->kvm_fd, KVM_CREATE_VM, 0);
	return m->vm_fd < 0 ? step_failed(m, "KVM_CREATE_VM", -errno) : 0;
}

static int open_boot(struct machine *m)
{
	char why[512];
	bool ok;

	if (m->cfg.gen1)
		ok = (m->gen1 = gen1_open(m, why, sizeof(why))) != NULL;
	else
		ok = (m->boot = boot_open(&m->cfg, why, sizeof(why))) != NULL;
	if (!ok)
		kvmb_err(m->name, "%s", why);
	return ok ? 0 : -ENOENT;
}

int machine_open(struct machine *m, const char *name, const struct machine_config *cfg,
		 struct kvmb_loop *loop, const struct machine_ops *ops, void *arg)
{
	int err;

	*m = (struct machine){
		.name = name, .cfg = *cfg, .loop = loop, .ops = ops, .ops_arg = arg
	};
	m->kvm_fd = m->vm_fd = m->gm.memfd = m->uffd = -1;
	park_init(&m->park);
	cpu_throttle_init(m);
	crash_init(&m->crash);
	hyperv_fill_seam(m);
	m->apic_virtual = cpuid_apic_is_virtual();
	err = open_kvm(m);
	if (!err)
		err = open_boot(m);
	if (err)
		return err;
	machine_log_prepare(m);
	if (m->cfg.lazy || m->cfg.post)
		m->uffd = mem_uffd_open();
	err = mem_open(m);
	return err ? step_failed(m, "guest memory", err) : 0;
}

static int create_irqchip(struct machine *m)
{
	/* port 0x61, by which old code measures time */
	struct kvm_pit_config pit = { .flags = m->cfg.gen1 ? KVM_PIT_SPEAKER_DUMMY : 0 };
	u64 identity = 0xfeffc000;

	ioctl(m->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	ioctl(m->vm_fd, KVM_SET_TSS_ADDR, 0xfeffd000ul);
	if (ioctl(m->vm_fd, KVM_CREATE_IRQCHIP, 0) || ioctl(m->vm_fd, KVM_CREATE_PIT2, &pit))
		return step_failed(m, "KVM interrupt controllers", -errno);
	return 0;
}

static int create_vcpus(struct machine *m)
{
	int err;
	u32 i;

	m->vcpus = kvmb_xzalloc(m->cfg.cpus * sizeof(*m->vcpus));
	for (i = 0; i < m->cfg.cpus; i++) {
		err = vcpu_create(m, i);
		if (err)
			return step_failed(m, "cannot create a vCPU", err);
	}
	/* routes come after every SynIC is active, irqfds after the routes */
	err = irq_init(m);
	if (err)
		return step_failed(m, "interrupt routes", err);
	for (i = 0; i < m->cfg.cpus; i++) {
		err = irq_assign(m, irq_event_gsi(i), m->vcpus[i].event_fd, -1);
		if (err)
			return step_failed(m, "irqfd", err);
	}
	for (i = 0; i < 3; i++) {
		m->irqchip0[i].chip_id = i;
		ioctl(m->vm_fd, KVM_GET_IRQCHIP, &m->irqchip0[i]);
	}
	ioctl(m->vm_fd, KVM_GET_PIT2, &m->pit0);
	guest_tsc_init(m);
	return 0;
}

static void serial_irq(void *arg, int level)
{
	irq_set_line(arg, IRQ_SERIAL, level);
}

static void rtc_irq(void *arg, int level)
{
	irq_set_line(arg, IRQ_RTC, level);
}

static int create_platform(struct machine *m, const struct serial_ops *far_end)
{
	struct serial_ops ops = *far_end;

	ops.set_irq = serial_irq;
	ops.irq_arg = m;
	m->serial = serial_create(&ops);
	m->rtc = rtc_create();
	rtc_connect(m->rtc, m->loop, rtc_irq, m);
	iobus_add(&m->pio, 0x3f8, 8, serial_access, m->serial);
	iobus_add(&m->pio, 0x70, 2, rtc_access, m->rtc);
	pm_add(m);
	if (m->cfg.test_devices)
		m->testdev = testdev_create(m);
	return m->gen1 ? gen1_build(m->gen1) : 0;
}

int machine_build(struct machine *m, const struct serial_ops *far_end)
{
	int err = mem_map(m);

	if (err)
		return step_failed(m, "guest memory", err);
	if (m->cfg.lazy)
		mem_lazy_prepare(m);
	if (m->cfg.post)
		mem_post_prepare(m);
	err = create_irqchip(m);
	if (!err)
		err = create_vcpus(m);
	if (!err) {
		err = create_platform(m, far_end);
		if (err)
			step_failed(m, "devices", err);
	}
	/* of use for making VMs, and for questions that all are answered */
	close(m->kvm_fd);
	m->kvm_fd = -1;
	return err;
}

/* ---- running ---- */

int machine_start(struct machine *m)
{
	u32 i;
	int err;

	machine_hold(m); /* until all threads are there */
	for (i = 0; i < m->cfg.cpus; i++) {
		err = vcpu_start_thread(&m->vcpus[i]);
		if (err)
			return step_failed(m, "cannot start a vCPU", err);
	}
	machine_stand(m);
	return 0;
}

void machine_stop(struct machine *m)
{
	u32 i;

	park_quit(&m->park);
	for (i = 0; m->vcpus && i < m->cfg.cpus; i++) {
		if (!m->vcpus[i].started)
			continue;
		vcpu_kick(&m->vcpus[i]);
		pthread_join(m->vcpus[i].thread, NULL);
	}
}

void machine_close(struct machine *m)
{
	u32 i;

	machine_log_end(m);
	testdev_destroy(m->testdev);
	for (i = 0; m->vcpus && i < m->cfg.cpus; i++) {
		if (m->vcpus[i].machine)
			vcpu_destroy(&m->vcpus[i]);
	}
	free(m->vcpus);
	free(m->cpuid_offer);
	machine_free_image(m);
	mem_lazy_end(m);
	mem_post_end(m);
	if (m->uffd >= 0)
		close(m->uffd);
	irq_fini(m);
	serial_destroy(m->serial);
	rtc_destroy(m->rtc);
	boot_close(m->boot);
	gen1_destroy(m->gen1);
	if (m->vm_fd >= 0)
		close(m->vm_fd);
	mem_destroy(m);
	if (m->kvm_fd >= 0)
		close(m->kvm_fd);
	kvmb_timer_cancel(&m->throttle.timer);
	park_fini(&m->park);
	crash_fini(&m->crash);
}
