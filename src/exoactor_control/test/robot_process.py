"""A robot without a body, for tests: it stands still, whatever it is told, and says what it was told.

Reads one JSON object a line: what to be ("buttons", "mode_pr", "lean" in rad, "hands", "intrude": it sends LowCmd
itself, "mute": it sends no LowState and answers nothing, "stubborn": its own controller does not let go, "own": name of
its own controller that takes the motors now); answers each with a line that says what it has got so far, and when, on
the monotonic clock.
"""

import contextlib
import json
import os
import sys
import threading
import time

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.robot import STANDING
from exoactor_unitree import sdk as unitree
from exoactor_unitree.wire import LowCmdBytes, LowStateBytes

unitree.open_dds("lo", int(sys.argv[1]))
switcher = unitree.MotionSwitcherServer(mode="ai")
out = unitree.Publisher(unitree.LOW_STATE_TOPIC, unitree.LowState_)
commands = unitree.RawReader(unitree.LOW_CMD_TOPIC, unitree.LowCmd_, ignore_own=True)
own_commands = unitree.Publisher(unitree.LOW_CMD_TOPIC, unitree.LowCmd_)
hands_out = [unitree.Publisher(topic, unitree.HandState_) for topic in unitree.HAND_STATE_TOPICS]
hands_in = [unitree.RawReader(topic, unitree.HandCmd_) for topic in unitree.HAND_COMMAND_TOPICS]

state = LowStateBytes.zeros()
state.motors[:29, 0] = STANDING
state.imu[9] = 9.81
state.temperatures[:] = 35
state.set_modes(np.ones(29))
be = {"buttons": 0, "mode_pr": 0, "lean": 0.0, "hands": False, "intrude": False, "mute": False, "stubborn": False}
got = {"commands": 0, "holding": 0, "hands": [None, None]}  # LowCmd in all, and those that hold the robot stiff
got |= {"last": 0.0, "stiff": 0.0}  # s: the last LowCmd, and the last that holds
damped_after = None  # ms by its own clock from the last change of `be` to the first LowCmd that damps
changed = tick = 0


def listen():
    global changed, damped_after
    for line in sys.stdin:
        change = json.loads(line)
        if change:
            if "own" in change:
                switcher.mode = change.pop("own")
            be.update(change)
            changed, damped_after = tick, None
        time.sleep(0.02)
        print(json.dumps({**got, "damped_after_ms": damped_after, "mode": switcher.mode}), flush=True)
    os._exit(0)


threading.Thread(target=listen, daemon=True).start()
release = switcher._set
switcher._set = lambda mode: (0, "") if be["stubborn"] else release(mode)
check = switcher._check
switcher._check = lambda: (1, "") if be["mute"] else check()
with contextlib.suppress(OSError):  # steady on a busy computer, where that is permitted
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
due = time.monotonic()
while True:
    state.data[12] = be["mode_pr"]
    state.data[2034:2036] = be["buttons"].to_bytes(2, "little")
    state.imu[:4] = Rotation.from_euler("y", be["lean"]).as_quat(scalar_first=True)
    tick += 1
    if not be["mute"]:
        out.write_bytes(state.seal(7, 2 * tick))
    if be["intrude"]:
        own_commands.write_bytes(LowCmdBytes().sealed())
    if be["hands"] and tick % 10 == 0:
        for writer in hands_out:
            writer.write(unitree.hand_state())
    for i, reader in enumerate(hands_in):
        if (data := reader.take()) is not None:
            got["hands"][i] = [m.q for m in unitree.HandCmd_.deserialize(data).motor_cmd]
    if (data := commands.take()) is not None:
        words = np.frombuffer(data, "<f4", 7 * 29, 8).reshape(29, 7)
        damping = not words[:, 3].any() and bool(words[:, 4].all())
        now = time.monotonic()
        got |= {"commands": got["commands"] + 1, "mode_pr": data[4], "mode_machine": data[5], "damping": damping}
        got["last"] = now
        if words[:, 3].any():
            got |= {"stiff": now, "holding": got["holding"] + 1}
        if damping and damped_after is None:
            damped_after = 2 * (tick - changed)
    due = max(due + 0.002, time.monotonic())  # what was missed is not made up for
    time.sleep(max(0.0, due - time.monotonic()))
