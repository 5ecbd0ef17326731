# Looks at a host and changes nothing. Prints lines `key<TAB>value`; values of several lines are in base64.
say() { printf '%s\t%s\n' "$1" "$2"; }
file() { [ -e "$2" ] && say "$1" "$(base64 -w0 <"$2")"; }
has() { command -v "$1" >/dev/null 2>&1; }

root=/opt/voicedeploy
PATH=$PATH:/usr/sbin:/sbin
say system "$(. /etc/os-release 2>/dev/null; echo "${PRETTY_NAME:-unknown}")"
say machine "$(uname -m)"
say clock "$(date +%s)"
say systemd "$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')"
say cores "$(nproc)"
say memory_kb "$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)"
say disk_kb "$(df -Pk /opt 2>/dev/null | awk 'NR == 2 {print $4}')"
say ephemeral "$(cat /proc/sys/net/ipv4/ip_local_port_range)"
ip -o addr show scope global 2>/dev/null | awk '{split($4, a, "/"); print "address\t" a[1]}'
for name in python3.14 python3.13 python3.12 python3.11 python3; do
  has $name && say python "$($name -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" && break
done
has apt-get && say apt yes
if has caddy; then
  say caddy "$(caddy version 2>/dev/null | awk '{print $1}')"
elif has apt-cache; then
  say caddy_offered "$(apt-cache policy caddy 2>/dev/null | sed -n 's/^ *Candidate: *//p')"
fi
systemctl is-active --quiet caddy 2>/dev/null && say caddy_active yes
file caddyfile /etc/caddy/Caddyfile
has ufw && say ufw "$(ufw status 2>/dev/null | base64 -w0)"
if has firewall-cmd && firewall-cmd --state >/dev/null 2>&1; then say firewalld "$(firewall-cmd --list-all | base64 -w0)"; fi
has tailscale && say tailnet "$(tailscale status --json 2>/dev/null | sed -n '/"Self"/,/}/s/.*"DNSName": *"\([^"]*\)\.".*/\1/p' | head -n 1)"
has turnserver && say coturn yes
[ -s $root/turn/secret ] && say turn_secret yes
say turn_active "$(systemctl is-active voicedeploy-turn.service 2>/dev/null)"
for path in $root/turn/turnserver.conf $root/turn/start /etc/systemd/system/voicedeploy-turn.service; do
  [ -e "$path" ] && say turn "$path $(base64 -w0 <"$path")"
done
ss -Hltnp 2>/dev/null | awk '{n = split($4, a, ":"); u = $6; sub(/^users:\(\("/, "", u); sub(/".*/, "", u); print "tcp\t" a[n] " " u}'
ls "$root/uv" 2>/dev/null | while read -r name; do say uv "$name"; done
for path in "$root"/engine/*/ready; do [ -e "$path" ] && path=${path%/ready} && say engine "${path##*/}"; done
for path in "$root"/bots/*; do
  [ -d "$path" ] || continue
  bot=${path##*/}
  say bot "$bot"
  for name in deployment.toml live history ports secrets.version; do file "$bot/$name" "$path/$name"; done
  [ -s "$path/key" ] && say "$bot/key" yes
  [ -e "$path/secrets.json" ] && say "$bot/secrets" yes
  file "$bot/site" "/etc/caddy/voicedeploy/$bot.caddy"
  for there in "$path"/releases/*/; do
    [ -d "$there" ] || continue
    there=${there%/}
    release=${there##*/}
    say "$bot/release" "$release"
    file "$bot/release/$release" "$there/release.toml"
    unit="voicedeploy-$bot@$release.service"
    say "$bot/unit/$release" "$(systemctl is-active "$unit" 2>/dev/null) $(systemctl is-enabled "$unit" 2>/dev/null)"
  done
  for there in "$path"/envs/*/; do [ -d "$there" ] && there=${there%/} && say "$bot/env" "${there##*/}"; done
done
newest=$(ls -1dt "$root"/engine/*/ready 2>/dev/null | head -n 1)
newest=${newest%/ready}
[ -n "$newest" ] && "$newest/.venv/bin/python" -I "$newest/voicedeploy/ask.py" fronts /run/voicedeploy |
  while read -r line; do printf 'front\t%s\n' "$line"; done
exit 0
