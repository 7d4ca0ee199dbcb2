#!/usr/bin/env bash
# Make FOLDER the Cyclone DDS (C library, 0.10) that the Python package of the same version builds against:
#   scripts/cyclonedds.sh FOLDER
# Links into the distribution's cyclonedds-dev and cyclonedds-tools where they are 0.10, else a build from source.
set -euo pipefail
home=$1
mkdir -p "$home"
if [[ $(dpkg-query -W -f='${Version}' cyclonedds-dev 2>/dev/null) == 0.10.* ]] && command -v idlc >/dev/null; then
  ln -sfn /usr/include "$home/include"
  ln -sfn "/usr/lib/$(gcc -dumpmachine)" "$home/lib"
  ln -sfn /usr/bin "$home/bin"
elif [ ! -e "$home/lib/libddsc.so" ]; then
  command -v git >/dev/null || { echo "git is needed to fetch Cyclone DDS 0.10.2: install git." >&2; exit 3; }
  source=$(mktemp -d)
  trap 'rm -rf "$source"' EXIT
  git clone -q --depth 1 --branch 0.10.2 https://github.com/eclipse-cyclonedds/cyclonedds "$source"
  cmake -S "$source" -B "$source/build" -DCMAKE_BUILD_TYPE=Release "-DCMAKE_INSTALL_PREFIX=$home" -DCMAKE_INSTALL_LIBDIR=lib \
    -DBUILD_TESTING=OFF -DBUILD_EXAMPLES=OFF -DENABLE_SSL=OFF -DENABLE_SECURITY=OFF
  cmake --build "$source/build" --target install --parallel
fi
