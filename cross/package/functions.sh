# What the maintainer scripts of the packages and install.sh have in common; cross/build puts it into each of them. POSIX sh, for busybox too.
# shellcheck shell=sh
# $root: the folder of an image, or empty for this system; opkg makes images with IPKG_INSTROOT, the others change into the folder.
# $init: what starts services there.
root="${IPKG_INSTROOT:-}"
init=''
library="$root/usr/lib/flotilla-agent"
user=flotilla-link

say() { printf 'flotilla-agent: %s\n' "$*" >&2; }

# init_of: systemd, openrc, procd, or none that is known.
init_of() {
  if [ -z "$root" ] && [ -d /run/systemd/system ]; then
    echo systemd
  elif [ -e "$root/sbin/procd" ]; then
    echo procd
  elif [ -e "$root/sbin/openrc-run" ] || [ -e "$root/usr/sbin/openrc-run" ]; then
    echo openrc
  elif [ -e "$root/usr/lib/systemd/systemd" ] || [ -e "$root/lib/systemd/systemd" ]; then
    echo systemd
  else
    echo none
  fi
}

# init_runs: whether services can be started by it: not in an image, and not where another program is process 1.
init_runs() {
  [ -z "$root" ] || return 1
  case "$init" in
    systemd) [ -d /run/systemd/system ] ;;
    openrc) [ -d /run/openrc ] ;;
    procd) [ -S /var/run/ubus/ubus.sock ] || [ -S /var/run/ubus.sock ] ;;
    *) false ;;
  esac
}

has() { command -v "$1" >/dev/null 2>&1; }

# known FILE NAME: whether a line of passwd or group begins with the name.
known() { grep -q "^$2:" "$root/etc/$1" 2>/dev/null; }

# state_folder: where the settings have the agent keep what makes this device a node.
state_folder() {
  given=$(sed -n 's/^[[:space:]]*state_folder[[:space:]]*=[[:space:]]*"\([^"]*\)".*$/\1/p' "$root/etc/flotilla/agent.toml" 2>/dev/null) || true
  echo "$root${given:-/var/lib/flotilla-agent}"
}

make_user() {
  if known passwd "$user" && known group "$user"; then return 0; fi
  if has systemd-sysusers && [ -f "$root/usr/lib/sysusers.d/flotilla-agent.conf" ]; then
    systemd-sysusers ${root:+--root="$root"} flotilla-agent.conf && return 0
  fi
  if [ -z "$root" ] && has useradd; then
    useradd --system --user-group --no-create-home --home-dir / --shell /usr/sbin/nologin "$user" && return 0
  fi
  # OpenWrt has no program for it, and an image cannot use those of this machine.
  id=$(free_id) || { say "no user id between 100 and 999 is free for $user" && return 1; }
  known group "$user" || printf '%s:x:%s:\n' "$user" "$id" >>"$root/etc/group"
  group=$(sed -n "s/^$user:[^:]*:\([0-9]*\):.*/\1/p" "$root/etc/group")
  known passwd "$user" || printf '%s:x:%s:%s:flotilla-agent:/:/bin/false\n' "$user" "$id" "$group" >>"$root/etc/passwd"
  if [ -f "$root/etc/shadow" ] && ! known shadow "$user"; then printf '%s:!:0:0:99999:7:::\n' "$user" >>"$root/etc/shadow"; fi
}

# free_id: the highest number from 999 to 100 that is neither a user nor a group.
free_id() {
  number=999
  while [ "$number" -ge 100 ]; do
    if ! cut -d: -f3 "$root/etc/passwd" "$root/etc/group" 2>/dev/null | grep -qx "$number"; then
      echo "$number"
      return 0
    fi
    number=$((number - 1))
  done
  return 1
}

# The folder of the socket; where there is no systemd the service makes it again at each start, for it is in memory.
make_folders() {
  [ -z "$root" ] || return 0
  if [ "$init" = systemd ] && has systemd-tmpfiles; then
    systemd-tmpfiles --create flotilla-agent.conf || say "the folder /run/flotilla-agent is not as it should be"
  else
    mkdir -p /run/flotilla-agent && chown "root:$user" /run/flotilla-agent && chmod 0750 /run/flotilla-agent
  fi
}

enable_service() {
  case "$init" in
    systemd)
      if has systemctl; then
        systemctl ${root:+--root="$root"} enable flotilla-agent.service || say "the service is not enabled"
      else
        mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
        ln -sf /usr/lib/systemd/system/flotilla-agent.service "$root/etc/systemd/system/multi-user.target.wants/flotilla-agent.service"
      fi
      ;;
    openrc)
      mkdir -p "$root/etc/runlevels/default"
      ln -sf /etc/init.d/flotilla-agent "$root/etc/runlevels/default/flotilla-agent"
      ;;
    procd)
      mkdir -p "$root/etc/rc.d"
      # As the numbers in the script say.
      ln -sf ../init.d/flotilla-agent "$root/etc/rc.d/S$(sed -n 's/^START=//p' "$root/etc/init.d/flotilla-agent")flotilla-agent"
      ln -sf ../init.d/flotilla-agent "$root/etc/rc.d/K$(sed -n 's/^STOP=//p' "$root/etc/init.d/flotilla-agent")flotilla-agent"
      ;;
    none) say "no service manager is known here: have \"/usr/lib/flotilla-agent/guard run\" started at boot, as root" ;;
  esac
}

disable_service() {
  case "$init" in
    systemd)
      if has systemctl; then systemctl ${root:+--root="$root"} disable flotilla-agent.service || true; fi
      rm -f "$root"/etc/systemd/system/*.wants/flotilla-agent.service
      ;;
    openrc) rm -f "$root"/etc/runlevels/*/flotilla-agent ;;
    procd) rm -f "$root"/etc/rc.d/[SK]*flotilla-agent ;;
  esac
}

# service ACTION: start, restart or stop; Debian's own wrapper asks whether the machine's owner lets packages do so.
service() {
  init_runs || return 0
  case "$init" in
    systemd)
      manager=systemctl
      if has deb-systemd-invoke && [ "${packager:-}" = deb ]; then manager=deb-systemd-invoke; fi
      # The others start with it. They are stopped by name, for the link may run without exec, and the guard would start both again.
      if [ "$1" = stop ]; then
        "$manager" stop flotilla-agent-guard.service flotilla-agent.service flotilla-agent-link.service
      else
        "$manager" "$1" flotilla-agent.service
      fi
      ;;
    openrc) rc-service flotilla-agent "$1" ;;
    procd) /etc/init.d/flotilla-agent "$1" ;;
  esac
}

# was_wanted: whether the service is running, or has failed, so that a new version takes over from it.
was_wanted() {
  case "$init" in
    systemd) systemctl is-active --quiet flotilla-agent.service || systemctl is-failed --quiet flotilla-agent.service ;;
    openrc) rc-service flotilla-agent status >/dev/null 2>&1 || [ "$?" -ne 3 ] ;;
    procd) /etc/init.d/flotilla-agent enabled ;;
  esac
}

reload_units() {
  if [ "$init" = systemd ] && init_runs; then systemctl daemon-reload || true; fi
}

# set_up VERSION: after the files are there. The same again changes nothing.
set_up() {
  is_new=1
  if [ -L "$library/current" ]; then is_new=0; fi
  make_user
  make_folders
  FLOTILLA_ROOT="$root" "$library/guard" switch "$1"
  reload_units
  if [ "$is_new" -eq 1 ]; then enable_service; fi
  if [ -n "$root" ]; then return 0; fi
  if [ ! -e "$(state_folder)/registered" ]; then
    say "version $1 is installed and waits for its registration: flotilla-agent register --activation -"
  elif ! init_runs; then
    say "version $1 is installed; nothing was started, since $init does not run here"
  elif [ "$is_new" -eq 1 ]; then
    service start || say "the service did not start; see its log"
  elif was_wanted; then
    service restart || say "the service did not start again; see its log"
  fi
}

# stop_service: commands that run go on, for one of them may be what removes the agent.
stop_service() {
  service stop || say "the service did not stop"
}

# remove_versions: what no package manager knows of.
remove_versions() {
  rm -rf "$library/versions" "$library/current" "$library/previous" "$library/fallen-back"
  rmdir "$library/package" "$library" 2>/dev/null || true
}

# remove_state FOLDER: only what is the agent's, for a folder that the settings name may hold more.
remove_state() {
  rm -rf "$1/link" "$1/exec" "$1/registered" "$1/agent.sock"
  rmdir "$1" 2>/dev/null || say "$1 holds something that is not the agent's, and is left"
  if [ -z "$root" ]; then rm -rf /run/flotilla-agent; fi
  rm -f "$root/etc/flotilla/agent.toml.new"
  rmdir "$root/etc/flotilla" 2>/dev/null || true
}

tell_of_state() {
  state=$(state_folder)
  if [ -e "$state" ]; then
    say "keys and journal of this node are kept in ${state#"$root"}; remove that folder, and deregister the node, when they are not needed"
  fi
}
