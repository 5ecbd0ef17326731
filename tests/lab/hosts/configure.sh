#!/bin/bash
# configure.sh NAME USER SUDO PASSWORD PUBLIC_KEY PYTHON FIREWALL, in the root of a host that has not booted yet.
set -euo pipefail
name=$1 user=$2 sudo=$3 password=$4 public=$5 python=$6 firewall=$7
export DEBIAN_FRONTEND=noninteractive

echo "$name" > /etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost ip6-localhost ip6-loopback\n' "$name" > /etc/hosts
rm -f /etc/machine-id
head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' > /etc/machine-id
ssh-keygen -q -t ed25519 -N '' -C "root@$name" -f /etc/ssh/ssh_host_ed25519_key

if [ "$user" = root ]; then home=/root; else home=/home/$user; useradd -m -s /bin/bash "$user"; fi
install -d -m 700 -o "$user" -g "$user" "$home/.ssh"
printf '%s\n' "$public" > "$home/.ssh/authorized_keys"
chown "$user:$user" "$home/.ssh/authorized_keys"
chmod 600 "$home/.ssh/authorized_keys"
case $sudo in
  nopasswd)
    printf '%s ALL=(ALL) NOPASSWD:ALL\n' "$user" > /etc/sudoers.d/90-lab
    chmod 440 /etc/sudoers.d/90-lab;;
  password)
    printf '%s:%s\n' "$user" "$password" | chpasswd
    usermod -aG sudo "$user";;
  none)
    printf '%s:%s\n' "$user" "$password" | chpasswd;;
esac

if [ "$firewall" = ufw ]; then
  apt-get -qq -y --no-download install ufw >/dev/null
  ufw allow 22/tcp >/dev/null
  sed -i 's/^ENABLED=.*/ENABLED=yes/' /etc/ufw/ufw.conf  # not `ufw enable`: the rules are for the host's own boot to set
fi
if [ "$python" = no ]; then
  apt-get -qq -y purge python3-minimal python3.11-minimal libpython3.11-minimal >/dev/null
fi
