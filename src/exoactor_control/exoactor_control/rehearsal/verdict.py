"""The rehearsal's signed verdict that a motion is fit for the robot.

It is an HMAC (RFC 2104) under a key that the launcher makes for each launch and passes to the nodes rehearsal and
controller only, in their environment (`exoactor_core.environment.KEY_VARIABLE`). It covers the time, the motion with
its correction, the human motion, the interaction, and the policy that tracked it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from dataclasses import asdict

import numpy as np

from exoactor_control.policy.policy import Policy
from exoactor_core.contacts import contacts_to_json
from exoactor_core.environment import KEY_VARIABLE
from exoactor_core.errors import UnsafeMotion
from exoactor_core.interaction import Interaction
from exoactor_core.motion import HUMAN_ARRAYS, ROBOT_ARRAYS, HumanMotion, RobotMotion
from exoactor_core.robot import ROBOT
from exoactor_core.task_checks import checks_to_json

_SKEW = 5.0  # s by which the clocks of two computers may differ
_ARRAYS: dict[type, tuple[str, ...]] = {RobotMotion: (*ROBOT_ARRAYS,), HumanMotion: ("betas", *HUMAN_ARRAYS)}


def take_key() -> str:
    """Return the key of this launch, and remove it from the environment; empty: the node was started without one."""
    return os.environ.pop(KEY_VARIABLE, "")


class Verdicts:
    """Gives and checks verdicts under the ``key`` of this launch; without a key none is given, and none is accepted.

    ``policy`` tracks the motions; None: plain joint PD.
    """

    def __init__(self, key: str, policy: Policy | None) -> None:
        self._key = key.encode()
        self._policy = _policy_digest(policy)

    def give(self, motion: RobotMotion, human: HumanMotion | None, interaction: Interaction | None = None) -> str:
        """Return the verdict that a motion is fit among these objects, as of now; empty without a key."""
        if not self._key:
            return ""
        stated = f"{time.time():.0f}"
        return f"{stated}:{self._sign(stated, motion, human, interaction)}"

    def check(
        self,
        verdict: str,
        motion: RobotMotion,
        human: HumanMotion | None,
        lifetime: float,
        interaction: Interaction | None = None,
    ) -> None:
        """Check that the verdict is the rehearsal's for all of this, and not older than ``lifetime`` s.

        Raises
        ------
        UnsafeMotion
            The verdict is for something else, too old, or not signed by the rehearsal.
        """
        if not self._key:
            raise UnsafeMotion(
                f"The robot does not move: this controller was started without {KEY_VARIABLE}, and cannot tell whether "
                "a motion passed the rehearsal. Start the graph by 'exoactor up' or its launch file."
            )
        again = "Send it to rehearse_motion first, or the task to execute_task."
        if not verdict:
            raise UnsafeMotion(f"The robot does not move: this motion comes without the rehearsal's verdict. {again}")
        stated, _, signature = verdict.partition(":")
        if not (stated.isascii() and stated.isdigit()) or not hmac.compare_digest(
            signature.encode(), self._sign(stated, motion, human, interaction).encode()
        ):
            raise UnsafeMotion(
                "The robot does not move: the verdict is not the rehearsal's on this very motion, with these "
                f"objects and this policy, since this launch. {again}"
            )
        age = time.time() - int(stated)
        if not -_SKEW <= age <= lifetime:
            raise UnsafeMotion(
                f"The robot does not move: this motion was rehearsed {age:.0f} s ago, more than {lifetime:g} s. {again}"
            )

    def _sign(
        self, stated: str, motion: RobotMotion, human: HumanMotion | None, interaction: Interaction | None
    ) -> str:
        content = hashlib.sha256(f"{stated}:{self._policy}:".encode())
        for part in (motion, human):
            content.update(_content(part))
        if interaction is not None:
            content.update(f"{interaction.scene.model_dump_json()}{checks_to_json(interaction.checks)}".encode())
        return hmac.new(self._key, content.digest(), hashlib.sha256).hexdigest()


def _content(motion: RobotMotion | HumanMotion | None) -> bytes:
    """Bytes of all numbers of a motion, as in messages (float32), with the arrays' shapes, and its contacts."""
    if motion is None:
        return b"none;"
    how = (*motion.execution.values(),) if isinstance(motion, RobotMotion) else ()
    parts = [f"{type(motion).__name__} {motion.fps!r} {how};".encode()]
    for name in _ARRAYS[type(motion)]:
        value = getattr(motion, name)
        array = None if value is None else np.ascontiguousarray(value, np.float32)
        parts += [
            f"{name} {None if array is None else array.shape};".encode(),
            b"" if array is None else array.tobytes(),
        ]
    if isinstance(motion, RobotMotion):
        parts.append(contacts_to_json(motion.object_contacts).encode())
    return b"".join(parts)


def _policy_digest(policy: Policy | None) -> str:
    if policy is None:
        return f"pd {ROBOT}"
    content = hashlib.sha256(ROBOT.encode())
    for path in policy.files:
        content.update(hashlib.sha256(path.read_bytes()).digest())
    layout = json.dumps(asdict(policy.spec), default=lambda value: np.asarray(value).tolist(), sort_keys=True)
    content.update(layout.encode())
    return content.hexdigest()
