# Before the files go.
# shellcheck shell=sh
init=$(init_of)
# is_upgrade ARGUMENT: each packager says it in its own way; apk runs this for a removal alone.
is_upgrade() {
  case "$packager" in
    deb) [ "$1" != remove ] ;;
    rpm) [ "$1" != 0 ] ;;
    ipk) [ "$1" = upgrade ] || [ "${PKG_UPGRADE:-0}" = 1 ] ;;
    *) false ;;
  esac
}
if ! is_upgrade "${1:-}"; then
  stop_service
  disable_service
fi
