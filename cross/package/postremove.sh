# After the files have gone.
# shellcheck shell=sh
init=$(init_of)
# An upgrade runs this too, when the new version is there or is about to be: only a word for a removal counts.
case "${packager}:${1:-}:${PKG_UPGRADE:-0}" in
  deb:remove:* | rpm:0:* | apk:* | ipk:remove:0 | ipk::0)
    remove_versions
    reload_units
    tell_of_state
    ;;
  deb:purge:*)
    remove_versions
    # The settings have gone before; with systemd the state has this place, which the units name too.
    remove_state /var/lib/flotilla-agent
    ;;
esac
