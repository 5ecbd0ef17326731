#!/bin/bash
# The root file system that every host of the lab stands on: Debian 12 with systemd, sshd, sudo and Python.
# rootfs.sh TARGET < lines of sources.list. The package lists and the .deb files of what tests install stay in it, so that
# `apt-get install caddy` needs no update and no download.
set -euo pipefail
target=$1
sources=$(cat)

files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT
chmod 755 "$files"  # sync-in gives this folder's mode to /, and under a / of 0700 no service runs that is not root's
mkdir -p "$files"/usr/local/share/ca-certificates "$files"/etc
cp /usr/local/share/ca-certificates/*.crt "$files/usr/local/share/ca-certificates/" 2>/dev/null || true
bundle=/etc/ssl/certs/ca-certificates.crt
printf '[global]\ncert = %s\n' "$bundle" > "$files/etc/pip.conf"
printf 'SSL_CERT_FILE=%s\n' "$bundle" > "$files/etc/environment"

# What a small cloud image has. No curl, no python3-venv, no media libraries: a deployment has to bring what it needs.
base=systemd-sysv,dbus,libpam-systemd,openssh-server,sudo,ca-certificates,iproute2,iputils-ping,procps,nftables,util-linux
base=$base,python3,tzdata,netbase,debian-archive-keyring

# What makes no sense in a container, or waits for hardware.
masked="systemd-networkd-wait-online.service systemd-udevd.service systemd-udevd-kernel.socket
  systemd-udevd-control.socket sys-kernel-debug.mount sys-kernel-tracing.mount console-getty.service getty@tty1.service"

export later="caddy coturn ufw rsync curl python3-venv"
export python="python3 python3-minimal python3.11 python3.11-minimal libpython3-stdlib libpython3.11-stdlib
  libpython3.11-minimal media-types"
download='APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -qq --yes --download-only -o APT::Install-Recommends=true'

# In a mount namespace of its own: nothing stays mounted if this is killed.
printf '%s\n' "$sources" | unshare --mount mmdebstrap --quiet --variant=minbase --mode=root --format=directory \
  --include="$base" --skip=cleanup/apt \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt=force-unsafe-io \
  --customize-hook="sync-in $files /" \
  --customize-hook='chroot "$1" update-ca-certificates >/dev/null' \
  --customize-hook='chroot "$1" apt-get clean' \
  --customize-hook="$download install \$later" \
  --customize-hook="$download install --reinstall \$python" \
  --customize-hook='echo "session required pam_env.so" | tee -a "$1/etc/pam.d/sudo" >> "$1/etc/pam.d/sudo-i"' \
  --customize-hook='chroot "$1" systemctl --quiet enable ssh' \
  --customize-hook='rm -f "$1"/etc/ssh/ssh_host_*' \
  --customize-hook="chroot \"\$1\" systemctl --quiet mask $(echo $masked)" \
  bookworm "$target" -
