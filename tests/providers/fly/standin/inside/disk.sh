# A machine's own disk over $2, in the folder $1, and then the program: nothing of what it writes is seen outside.
set -e
at=$1 below=$2 path=$PATH
shift 2
# Not the image's.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t tmpfs -o mode=755 machine "$at/disk"
mkdir "$at/disk/above" "$at/disk/work" "$at/disk/root"
mount -t overlay -o "lowerdir=$below,upperdir=$at/disk/above,workdir=$at/disk/work" machine "$at/disk/root"
for name in dev proc sys; do mount --rbind "/$name" "$at/disk/root/$name"; done
cp -a "$at/files/." "$at/disk/root/"
PATH=$path
exec "$@"
