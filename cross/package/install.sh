# Installs flotilla-agent from this folder, or removes it. Run it as root; once more changes nothing.
# shellcheck shell=sh
help() {
  cat <<'HELP'
Installs flotilla-agent from this folder: the program, its units or service script for systemd, OpenRC or procd, its user, and
settings where there are none. An agent that is registered is started, or started again; one that is not is left alone.

  ./install.sh                       installs, or brings up to this version
  ./install.sh --root DIR            does so in an image of a system, and starts nothing
  ./install.sh --uninstall           stops the agent and removes it; keys, journal and settings stay
  ./install.sh --uninstall --purge   removes them too

  --init NAME   systemd, openrc, procd or none, where it is not found out rightly
  --help        this

Exit code 0: done; 1: not done, and why; 2: the command line is wrong.
HELP
}

usage() {
  say "$1; see ./install.sh --help"
  exit 2
}

refuse() {
  say "$1"
  exit 1
}

# put MODE SOURCE PATH: whole or not at all, so that a program that runs is not written into.
put() {
  mkdir -p "$root${3%/*}"
  cp "$here/files/$2" "$root$3.flotilla-new"
  chmod "$1" "$root$3.flotilla-new"
  mv -f "$root$3.flotilla-new" "$root$3"
}

put_service_files() {
  case "$init" in
    systemd)
      for unit in "$here"/files/systemd/*; do put 0644 "systemd/${unit##*/}" "/usr/lib/systemd/system/${unit##*/}"; done
      put 0644 sysusers.conf /usr/lib/sysusers.d/flotilla-agent.conf
      put 0644 tmpfiles.conf /usr/lib/tmpfiles.d/flotilla-agent.conf
      ;;
    openrc | procd) put 0755 "$init" /etc/init.d/flotilla-agent ;;
  esac
  case "$init" in
    procd) put 0644 procd.keep /lib/upgrade/keep.d/flotilla-agent ;;
  esac
}

install_all() {
  put 0755 flotilla-agent /usr/lib/flotilla-agent/package/flotilla-agent
  put 0755 guard /usr/lib/flotilla-agent/guard
  mkdir -p "$root/usr/bin"
  ln -sf ../lib/flotilla-agent/current/flotilla-agent "$root/usr/bin/flotilla-agent"
  settings=agent.toml
  if [ "$init" = procd ]; then settings=agent.procd.toml; fi
  if [ ! -e "$root/etc/flotilla/agent.toml" ]; then
    put 0644 "$settings" /etc/flotilla/agent.toml
  elif ! cmp -s "$here/files/$settings" "$root/etc/flotilla/agent.toml"; then
    put 0644 "$settings" /etc/flotilla/agent.toml.new
    say "the settings /etc/flotilla/agent.toml are left as they are; those of this version are in agent.toml.new beside them"
  fi
  put_service_files
  set_up "$version"
}

remove_all() {
  stop_service
  disable_service
  for unit in "$here"/files/systemd/*; do rm -f "$root/usr/lib/systemd/system/${unit##*/}"; done
  rm -f "$root/usr/lib/sysusers.d/flotilla-agent.conf" "$root/usr/lib/tmpfiles.d/flotilla-agent.conf" "$root/usr/bin/flotilla-agent"
  case "$init" in openrc | procd) rm -f "$root/etc/init.d/flotilla-agent" "$root/lib/upgrade/keep.d/flotilla-agent" ;; esac
  rm -f "$library/guard" "$library/package/flotilla-agent"
  remove_versions
  reload_units
  if [ "$is_purge" -eq 1 ]; then
    state=$(state_folder)
    rm -f "$root/etc/flotilla/agent.toml"
    remove_state "$state"
  else
    tell_of_state
  fi
}

here=$(cd "$(dirname "$0")" && pwd)
is_removal=0
is_purge=0
init=''
while [ "$#" -gt 0 ]; do
  case "$1" in
    --uninstall) is_removal=1 ;;
    --purge) is_purge=1 ;;
    --root | --init)
      [ "$#" -ge 2 ] || usage "$1 needs a value"
      case "$1" in --root) root=$2 ;; *) init=$2 ;; esac
      shift
      ;;
    -h | --help)
      help
      exit 0
      ;;
    *) usage "$1 is no option" ;;
  esac
  shift
done
[ "$is_purge" -eq 0 ] || [ "$is_removal" -eq 1 ] || usage "--purge goes with --uninstall"
[ -z "$root" ] || root=$(cd "$root" 2>/dev/null && pwd) || refuse "the folder for --root is not there"
if [ "$root" = / ]; then root=''; fi
library="$root/usr/lib/flotilla-agent"
[ -n "$init" ] || init=$(init_of)
case "$init" in systemd | openrc | procd | none) ;; *) usage "--init knows systemd, openrc, procd and none, not $init" ;; esac
[ -f "$here/files/guard" ] || refuse "the folder files is missing beside install.sh: unpack the whole archive"
[ -n "$root" ] || [ "$(id -u)" -eq 0 ] || refuse "only root can install and remove; with --root DIR anybody can for an image"
for list in "$root/var/lib/dpkg/info/flotilla-agent.list" "$root/usr/lib/opkg/info/flotilla-agent.list"; do
  [ ! -e "$list" ] || refuse "flotilla-agent is installed as a package here: upgrade or remove it by the package manager"
done
if [ "$is_removal" -eq 1 ]; then remove_all; else install_all; fi
