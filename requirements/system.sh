#!/bin/sh
# Makes sure that the named programs (gpg, sshd, strace, chromium, soffice) are here: installs the missing ones where that is
# allowed (root, or sudo without a password), else says which command would.
set -eu

package_of() {
    case "$1" in
    gpg) echo gnupg ;;
    sshd) echo openssh-server ;;
    soffice) echo libreoffice-calc-nogui ;;
    *) echo "$1" ;;
    esac
}

missing=""
for program in "$@"; do
    if ! PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null 2>&1; then
        missing="$missing $(package_of "$program")"
    fi
done
[ -n "$missing" ] || exit 0

as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo -n"
if command -v apt-get >/dev/null 2>&1 && { [ -z "$as_root" ] || sudo -n true 2>/dev/null; }; then
    echo "Installing:$missing"
    # shellcheck disable=SC2086
    if $as_root apt-get update -q >/dev/null &&
        DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -q --no-install-recommends $missing >/dev/null; then
        exit 0
    fi
fi
echo "Needed and not here:$missing" >&2
echo "Install with:  sudo apt-get install$missing    (or your system's own package manager)" >&2
exit 69
