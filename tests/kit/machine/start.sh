# Builds the machine's root in a mount namespace of its own, and becomes its first process: systemd, or the program that is given. Run by
# ../machine in fresh namespaces; what it mounts goes with them.
#
#   start.sh DISK WITNESS BOOT_ID [PROGRAM ARGUMENT...]
#
# DISK: where the machine's disk is mounted: upper and work for the overlay over this system's root, and root as its mount point.
# WITNESS: a folder that is no part of the machine's disk and can be seen in it as /witness.
# shellcheck shell=sh
set -eu
disk=$1 witness=$2 boot_id=$3
shift 3
root="$disk/root"

mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=/,upperdir=$disk/upper,workdir=$disk/work" "$root"
mount -t proc proc "$root/proc"
# What it would say to the kernel would hold for this system, too.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount --bind "$boot_id" "$root/proc/sys/kernel/random/boot_id"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
for device in null zero full random urandom tty; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for number in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${number%%:*}" "$root/dev/${number#*:}"; done
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/tmp"
mkdir -p "$root/witness"
mount --bind "$witness" "$root/witness"

PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
ip link set lo up
hostname flotilla-machine
cd "$root"
mkdir run/before
pivot_root . run/before
umount -l /run/before
rmdir /run/before
if [ "$#" -gt 0 ]; then exec env -i PATH="$PATH" "$@" </dev/null; fi
exec env -i PATH="$PATH" container=flotilla-test /lib/systemd/systemd --system --log-target=console --log-level=info --show-status=no </dev/null
