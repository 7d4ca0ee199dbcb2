#!/usr/bin/env bash
# colcon build --base-paths src, against the ROS 2 in .venv. On a machine with a ROS 2 of its own, call colcon itself.
set -euo pipefail
cd "$(dirname "$0")/.."
. .venv/bin/activate
export AMENT_PREFIX_PATH=$VIRTUAL_ENV CMAKE_PREFIX_PATH=$VIRTUAL_ENV
exec colcon build --base-paths src "$@" \
  --cmake-args "-DPython3_EXECUTABLE=$VIRTUAL_ENV/bin/python" -DBUILD_TESTING=OFF "-DCMAKE_PROJECT_INCLUDE=$PWD/scripts/wheels.cmake"
