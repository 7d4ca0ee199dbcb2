#!/bin/bash
# ROS 2, this workspace, then the command.
set -e
source /opt/ros/jazzy/setup.bash
source /exoactor/install/setup.bash
export PATH="/exoactor/.venv/bin:/exoactor/install/exoactor/lib/exoactor:$PATH"
exec "$@"
