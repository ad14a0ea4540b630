# After the files are there: on a first installation, an upgrade, a downgrade and once more.
# shellcheck shell=sh
init=$(init_of)
# deb: "configure", or "abort-…" when something else did not work and everything is as it was.
case "${packager}:${1:-}" in
  deb:configure | rpm:* | apk:* | ipk:*) set_up "$version" ;;
esac
