// SPDX-License-Identifier: GPL-2.0-only
/*
 * From names of interfaces to descriptors: the only file of this folder that opens a tap by name or
 * changes an interface of the host. It runs in the launcher of a VM, or in the command that changes
 * one, with the rights of whoever started that.
 *
 * Sources: Linux 6.1 drivers/net/tun.c, tap.c, net/bridge/br_ioctl.c.
 */
#include "backend/net/backend.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/util.h"

#define TUN "/dev/net/tun"

static int if_ioctl(const char *ifname, unsigned long request, struct ifreq *ifr)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	if (s < 0)
		return -errno;
	strncpy(ifr->ifr_name, ifname, IFNAMSIZ - 1);
	if (ioctl(s, request, ifr))
		err = -errno;
	close(s);
	return err;
}

static uint32_t get_mtu(const char *ifname)
{
	struct ifreq ifr = { 0 };

	return if_ioctl(ifname, SIOCGIFMTU, &ifr) ? 0 : (uint32_t)ifr.ifr_mtu;
}

static int set_mtu(const char *ifname, uint32_t mtu)
{
	struct ifreq ifr = { .ifr_mtu = (int)mtu };

	return get_mtu(ifname) == mtu ? 0 : if_ioctl(ifname, SIOCSIFMTU, &ifr);
}

static bool read_sysfs(const char *ifname, const char *what, char *buf, size_t size)
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/class/net/%.15s/%s", ifname, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, buf, size - 1);
	close(fd);
	buf[n > 0 ? n : 0] = 0;
	return n > 0;
}

static const char *reason(int err)
{
	switch (err) {
	case EBUSY:
		return "in use by another VM or program";
	case EPERM:
	case EACCES:
		return "not permitted; this needs CAP_NET_ADMIN, or an interface that belongs to "
		       "this user";
	default:
		return strerror(err);
	}
}

/*
 * One descriptor a queue, all of interface @name, which is completed when it has a %d. Return: 0 or
 * -errno, and nothing is open.
 */
static int open_queues(struct kvmb_net_files *f, const char *dev, char *name, unsigned int num,
		       bool multi)
{
	struct ifreq ifr = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
						  (multi ? IFF_MULTI_QUEUE : 0)) };
	int err, fd;

	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	for (f->num = 0; f->num < num; f->fd[f->num++] = fd) {
		fd = open(dev, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr)) {
			err = -errno;
			if (fd >= 0)
				close(fd);
			kvmb_net_files_close(f);
			return err;
		}
	}
	memcpy(name, ifr.ifr_name, IFNAMSIZ);
	return 0;
}

/* Return: @err, with @why said. */
static int opened(int err, const char *dev, char *why)
{
	if (err == -ENOENT || err == -ENXIO)
		snprintf(why, KVMB_NET_WHY, "%s does not exist; try: modprobe tun", dev);
	else if (err)
		snprintf(why, KVMB_NET_WHY, "%s", reason(-err));
	return err;
}

static int resolve_tap(const struct kvmb_net_want *w, char *name, struct kvmb_net_files *f,
		       char *why)
{
	unsigned int num = w->num_queues;
	char flags[32];
	bool multi;

	if (strlen(w->ifname) >= IFNAMSIZ ||
	    !read_sysfs(w->ifname, "tun_flags", flags, sizeof(flags))) {
		/* TUNSETIFF would create a new, unconnected one, which the user did not ask for */
		snprintf(why, KVMB_NET_WHY,
			 "no such tap interface; try: ip tuntap add %.15s mode tap "
			 "multi_queue, or --nic bridge=BRIDGE",
			 w->ifname);
		return -ENODEV;
	}
	multi = strtoul(flags, NULL, 16) & IFF_MULTI_QUEUE;
	if (!num)
		num = multi ? w->max : 1;
	if (num > 1 && !multi) {
		snprintf(why, KVMB_NET_WHY,
			 "it has only one queue; create it with: ip tuntap add %.15s mode tap "
			 "multi_queue",
			 w->ifname);
		return -EINVAL;
	}
	memcpy(name, w->ifname, strlen(w->ifname));
	return opened(open_queues(f, TUN, name, num, multi), TUN, why);
}

/* ---- macvtap ---- */

static int set_mac(const char *ifname, const uint8_t *mac)
{
	struct ifreq ifr = { .ifr_hwaddr.sa_family = ARPHRD_ETHER };

	memcpy(ifr.ifr_hwaddr.sa_data, mac, 6);
	return if_ioctl(ifname, SIOCSIFHWADDR, &ifr);
}

static bool parse_mac(const char *s, uint8_t *mac)
{
	return sscanf(s, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &mac[0], &mac[1], &mac[2], &mac[3],
		      &mac[4], &mac[5]) == 6;
}

/* The NIC has its address, or it gets the NIC's. */
static int settle_mac(const struct kvmb_net_want *w, const char *name, struct kvmb_net_files *f,
		      char *why)
{
	int err;

	if (!w->mac || !f->has_mac || !memcmp(f->mac, w->mac, sizeof(f->mac)))
		return 0;
	err = set_mac(name, w->mac);
	if (err)
		snprintf(why, KVMB_NET_WHY, "cannot give it the address: %s", strerror(-err));
	else
		memcpy(f->mac, w->mac, sizeof(f->mac));
	return err;
}

static int resolve_macvtap(const struct kvmb_net_want *w, char *name, struct kvmb_net_files *f,
			   char *why)
{
	unsigned int index = strlen(w->ifname) < IFNAMSIZ ? if_nametoindex(w->ifname) : 0;
	char dev[32], mac[32], queue[IFNAMSIZ];
	int err;

	snprintf(dev, sizeof(dev), "/dev/tap%u", index);
	if (!index || access(dev, F_OK) || !read_sysfs(w->ifname, "address", mac, sizeof(mac))) {
		snprintf(why, KVMB_NET_WHY,
			 "no such macvtap interface; try: ip link add link eth0 name "
			 "%.15s type macvtap mode bridge",
			 w->ifname);
		return -ENODEV;
	}
	memcpy(name, w->ifname, strlen(w->ifname));
	memcpy(queue, name, sizeof(queue));
	err = opened(open_queues(f, dev, queue, w->num_queues ? w->num_queues : w->max, true), dev,
		     why);
	if (err)
		return err;
	f->has_mac = parse_mac(mac, f->mac);
	return settle_mac(w, name, f, why);
}

/* ---- bridge ---- */

/* Put our new tap on the bridge. Return: 0 or -errno. */
static int plug_in(const char *tap, const char *bridge, uint32_t mtu)
{
	struct ifreq ifr = { 0 };
	int err = set_mtu(tap, mtu);

	if (err)
		return err;
	ifr.ifr_ifindex = (int)if_nametoindex(tap);
	err = if_ioctl(bridge, SIOCBRADDIF, &ifr);
	if (err)
		return err;
	memset(&ifr, 0, sizeof(ifr));
	err = if_ioctl(tap, SIOCGIFFLAGS, &ifr);
	if (err)
		return err;
	ifr.ifr_flags |= IFF_UP;
	return if_ioctl(tap, SIOCSIFFLAGS, &ifr);
}

static int resolve_bridge(const struct kvmb_net_want *w, char *name, struct kvmb_net_files *f,
			  char *why)
{
	unsigned int num = w->num_queues ? w->num_queues : w->max;
	char id[32];
	int err;

	if (strlen(w->ifname) >= IFNAMSIZ ||
	    !read_sysfs(w->ifname, "bridge/bridge_id", id, sizeof(id))) {
		snprintf(why, KVMB_NET_WHY, "no such bridge; try: ip link add %.15s type bridge",
			 w->ifname);
		return -ENODEV;
	}
	strcpy(name, "kvmb%d");
	err = opened(open_queues(f, TUN, name, num, true), TUN, why);
	if (err)
		return err;
	err = plug_in(name, w->ifname, w->mtu ? w->mtu : get_mtu(w->ifname));
	if (err)
		snprintf(why, KVMB_NET_WHY, "cannot join the bridge: %s", reason(-err));
	return err;
}

/* ---- all ---- */

/* Frames of the host are as large as its interface lets them. */
static int settle_mtu(const struct kvmb_net_want *w, const char *name, struct kvmb_net_files *f,
		      char *why)
{
	int err = 0;

	f->mtu = get_mtu(name);
	if (w->mtu && f->mtu && f->mtu < w->mtu)
		err = set_mtu(name, w->mtu);
	if (err)
		snprintf(why, KVMB_NET_WHY, "its MTU is %u and cannot be %u: %s", f->mtu, w->mtu,
			 strerror(-err));
	else if (f->mtu)
		f->mtu = KVMB_MAX(f->mtu, w->mtu);
	return err;
}

int kvmb_net_tap_resolve(const struct kvmb_net_want *w, struct kvmb_net_files *out, char *why)
{
	static int (*const resolve[])(const struct kvmb_net_want *w, char *name,
				      struct kvmb_net_files *f, char *why) = {
		[KVMB_NET_TAP] = resolve_tap,
		[KVMB_NET_MACVTAP] = resolve_macvtap,
		[KVMB_NET_BRIDGE] = resolve_bridge,
	};
	struct kvmb_net_files f = { 0 };
	char name[IFNAMSIZ] = "";
	int err = resolve[w->kind](w, name, &f, why);

	if (!err)
		err = settle_mtu(w, name, &f, why);
	if (err)
		kvmb_net_files_close(&f);
	else
		*out = f;
	return err;
}

void kvmb_net_files_close(struct kvmb_net_files *files)
{
	while (files->num)
		close(files->fd[--files->num]);
	if (files->channel > 0)
		close(files->channel);
	files->channel = 0;
}

/* ---- whose is it? ---- */

/* An interface of another network namespace may have the same name. */
static bool is_in_our_net(int queue)
{
	int ns = ioctl(queue, TUNGETDEVNETNS);
	struct stat its, ours;
	bool same;

	if (ns < 0)
		return errno == ENOTTY || errno == EINVAL; /* an older kernel */
	same = !fstat(ns, &its) && !stat("/proc/self/ns/net", &ours) && its.st_ino == ours.st_ino;
	close(ns);
	return same;
}

/* @macvtap: its device in /dev, which stands for one interface of all namespaces, or NULL */
static bool is_queue_of(int fd, const char *ifname, const struct stat *macvtap)
{
	struct ifreq ifr = { 0 };
	struct stat st;

	if (fstat(fd, &st) || !S_ISCHR(st.st_mode) || ioctl(fd, TUNGETIFF, &ifr) ||
	    strncmp(ifr.ifr_name, ifname, IFNAMSIZ))
		return false;
	return macvtap ? st.st_rdev == macvtap->st_rdev : is_in_our_net(fd);
}

/* By a copy of its descriptor. Return: 0; -ENODEV; another -errno when we cannot see that. */
static int look_at(int pidfd, int number, const char *ifname, const struct stat *macvtap)
{
	int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0), err;

	if (fd < 0)
		return errno == EBADF ? -ENODEV : -errno; /* closed meanwhile */
	err = is_queue_of(fd, ifname, macvtap) ? 0 : -ENODEV;
	close(fd);
	return err;
}

static int has_queue(pid_t vm, const char *ifname, const struct stat *macvtap)
{
	int pidfd = (int)syscall(SYS_pidfd_open, vm, 0), err = pidfd < 0 ? -errno : -ENODEV;
	struct dirent *e;
	char path[32];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)vm);
	d = pidfd < 0 ? NULL : opendir(path);
	if (pidfd >= 0 && !d)
		err = -errno;
	while (d && err == -ENODEV && (e = readdir(d))) {
		if (e->d_name[0] != '.')
			err = look_at(pidfd, atoi(e->d_name), ifname, macvtap);
	}
	if (d)
		closedir(d);
	if (pidfd >= 0)
		close(pidfd);
	return err;
}

int kvmb_net_host_mtu(pid_t vm, const char *ifname, uint32_t mtu)
{
	char dev[32], flags[32];
	bool tap = read_sysfs(ifname, "tun_flags", flags, sizeof(flags));
	struct stat macvtap;
	int err;

	snprintf(dev, sizeof(dev), "/dev/tap%u", if_nametoindex(ifname));
	if (!tap && stat(dev, &macvtap))
		return -ENODEV;
	if (get_mtu(ifname) == mtu)
		return 0;
	err = has_queue(vm, ifname, tap ? NULL : &macvtap);
	return err ? err : set_mtu(ifname, mtu);
}

/* ---- from another process ---- */

/* Is @port, of our making, on the bridge? */
static bool is_on_bridge(const char *port, const char *bridge)
{
	char path[64], target[PATH_MAX];
	const char *name;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/class/net/%.15s/brport/bridge", port);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = 0;
	name = strrchr(target, '/');
	return name && !strcmp(name + 1, bridge);
}

/* Who may not ask in which network it is could not have made one elsewhere either. */
static bool is_in_sight(int queue)
{
	errno = 0;
	return is_in_our_net(queue) || errno == EPERM;
}

/* @name: of the first, "" = this is it */
static bool is_wanted(const struct kvmb_net_want *w, int fd, char *name)
{
	const int flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	struct ifreq ifr = { 0 };
	struct stat st, dev;
	char path[32];

	if (fstat(fd, &st) || !S_ISCHR(st.st_mode) || ioctl(fd, TUNGETIFF, &ifr) ||
	    (ifr.ifr_flags & flags) != flags || (*name && strncmp(name, ifr.ifr_name, IFNAMSIZ)))
		return false;
	snprintf(name, IFNAMSIZ, "%.15s", ifr.ifr_name);
	if (w->kind == KVMB_NET_BRIDGE)
		return is_in_sight(fd) && is_on_bridge(name, w->ifname);
	if (strcmp(name, w->ifname))
		return false;
	if (w->kind == KVMB_NET_TAP)
		return is_in_sight(fd);
	snprintf(path, sizeof(path), "/dev/tap%u", if_nametoindex(name));
	return !stat(path, &dev) && st.st_rdev == dev.st_rdev;
}

int kvmb_net_tap_adopt(const struct kvmb_net_want *w, const int *fds, unsigned int num,
		       struct kvmb_net_files *out, char *why)
{
	struct kvmb_net_files f = { .in_use = true, .num = num };
	char name[IFNAMSIZ] = "", mac[32];
	unsigned int i;

	for (i = 0; i < num && i < KVMB_NET_MAX_QUEUES && is_wanted(w, fds[i], name); i++)
		f.fd[i] = fds[i];
	if (!i || i < num || num > KVMB_MAX(w->num_queues, w->max)) {
		snprintf(why, KVMB_NET_WHY, "what the VM hands over are not its queues");
		return -EINVAL;
	}
	f.mtu = get_mtu(name);
	f.has_mac = w->kind == KVMB_NET_MACVTAP && read_sysfs(name, "address", mac, sizeof(mac)) &&
		    parse_mac(mac, f.mac);
	*out = f;
	return 0;
}
