"""The run folder: the record of a task, with every file complete."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exoactor_core.errors import BadInput, reason
from exoactor_core.files import load_npz, save_image, save_json, save_npz, save_or_rescue
from exoactor_core.stages import Estimate, Generation, Retargeting, Tracking

if TYPE_CHECKING:
    from exoactor_core.motion import RobotMotion
    from exoactor_core.scene import Scene

DEFAULT_ROOT = Path("~/.exoactor/runs")
OBJECTS = {"rehearsal": "objects.npz", "tracking": "tracking_objects.npz"}
"""File with the poses of the objects for a motion of the run folder."""


class RunFolder:
    """The folder ``<root>/<UTC time>-<slug>/``; every file in it is written atomically."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @classmethod
    def create(cls, instruction: str, root: str | Path | None = None) -> RunFolder:
        """Create a folder named after the time and the instruction. Raises `BadInput` if it cannot be created."""
        root = Path(root or DEFAULT_ROOT).expanduser()
        slug = re.sub(r"[^a-z0-9]+", "-", instruction.lower()).strip("-")[:48].strip("-") or "task"
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        try:
            root.mkdir(parents=True, exist_ok=True)
            for n in range(1, 1000):  # two tasks may start in the same second
                path = root / (f"{stamp}-{slug}" if n == 1 else f"{stamp}-{slug}-{n}")
                try:
                    path.mkdir()
                    return cls(path)
                except FileExistsError:
                    continue
        except OSError as error:
            raise BadInput(f"Cannot make a run folder in {root}: {reason(error)}.") from None
        raise BadInput(f"Cannot make a run folder in {root}: too many were made within one second.")

    def save_task(self, task: dict[str, Any]) -> None:
        """Write task.json: the request."""
        save_json(self.path / "task.json", task)

    def save_plan(self, plan: dict[str, Any]) -> None:
        """Write plan.json: the plan, which can be edited and sent again."""
        save_json(self.path / "plan.json", plan)

    def save_job(self, job: dict[str, Any]) -> None:
        """Write job.json: the job of a video service, whose video `exoactor generate --resume` fetches."""
        save_json(self.path / "job.json", job)

    def save_generation(self, generation: Generation) -> None:
        """Write video.mp4, and as available plan.json, image.png, ground_truth.npz, scene.yaml ...

        ground_truth.npz is the motion behind the video, for evaluation only; checks.json has the checks of the task;
        other_video_1.mp4 and so on are rejected videos.
        """
        save_or_rescue(generation.video.save, self.path / "video.mp4")  # it may have cost money
        if generation.plan is not None:
            self.save_plan(generation.plan)
        if generation.image is not None:
            save_image(self.path / "image.png", generation.image)
        if generation.truth is not None:
            generation.truth.save(self.path / "ground_truth.npz")
        if (interaction := generation.interaction) is not None:
            interaction.scene.save(self.path / "scene.yaml")
            if interaction.checks:
                checks = [check.model_dump(mode="json", exclude_none=True) for check in interaction.checks]
                save_json(self.path / "checks.json", checks)
        for number, video in enumerate(generation.others, 1):
            video.save(self.path / f"other_video_{number}.mp4")

    def save_estimate(self, estimate: Estimate) -> None:
        """Write human_motion.npz, and keypoints.npz if the estimator returned 2D landmarks."""
        estimate.motion.save(self.path / "human_motion.npz")
        if estimate.keypoints is not None and len(estimate.keypoints):
            save_npz(self.path / "keypoints.npz", keypoints=np.asarray(estimate.keypoints, np.float32))

    def save_robot(self, retargeting: Retargeting) -> None:
        """Write robot_motion.npz: the reference."""
        retargeting.motion.save(self.path / "robot_motion.npz")

    def save_rehearsal(self, rehearsal: Tracking) -> None:
        """Write rehearsal.npz with the robot's motion, and objects.npz with the objects' poses.

        Writes robot_motion.npz again if the reference was corrected.
        """
        self._save_tracked(rehearsal, "rehearsal.npz", OBJECTS["rehearsal"])
        if rehearsal.corrected is not None:
            rehearsal.corrected.save(self.path / "robot_motion.npz")

    def save_tracking(self, tracking: Tracking) -> None:
        """Write tracking.npz and tracking_objects.npz: motion of the robot behind DDS, and poses of the objects."""
        self._save_tracked(tracking, "tracking.npz", OBJECTS["tracking"])

    def _save_tracked(self, tracking: Tracking, motion: str, objects: str) -> None:
        tracking.motion.save(self.path / motion)
        if tracking.object_poses is not None:
            save_npz(self.path / objects, poses=np.asarray(tracking.object_poses, np.float32))

    def save_report(self, report: dict[str, Any]) -> None:
        """Write report.json: success, failed stage, reason, seconds and metrics per stage."""
        save_json(self.path / "report.json", report)

    def keypoints(self) -> np.ndarray | None:
        """The 2D landmarks (T, 33, 3), if the folder has them."""
        path = self.path / "keypoints.npz"
        return load_npz(path, required=("keypoints",))["keypoints"] if path.is_file() else None

    def objects(self, name: str, motion: RobotMotion) -> tuple[Scene, np.ndarray] | None:
        """The scene and the poses of its objects (T, n, 7) in each frame of a motion, if the folder has them.

        ``name`` is that of the motion in the folder. With the reference, ``robot_motion``, grasped objects move with
        the hands.
        """
        from exoactor_core.scene import Scene  # imports SciPy, which the command line's help does without

        if not (self.path / "scene.yaml").is_file():
            return None
        scene = Scene.load(self.path / "scene.yaml")
        if name not in OBJECTS:
            return scene, taken_along(motion, scene)
        poses = self.path / OBJECTS[name]
        return (scene, load_npz(poses, required=("poses",))["poses"]) if poses.is_file() else None


def taken_along(motion: RobotMotion, scene: Scene) -> np.ndarray:
    """Poses (T, n, 7) of a scene's objects if a motion's hands carry what they grasp.

    Other objects stay at their initial pose, and an object that is released over a container ends in it.
    """
    from scipy.spatial.transform import Rotation

    from exoactor_core.robot import hand_poses

    poses = np.tile(scene.poses, (len(motion), 1, 1))
    grasps = [c for c in motion.object_contacts if c.kind == "grasp" and c.object in scene.ids]
    if not grasps:
        return poses
    hands, turns = hand_poses(motion)
    for grasp in sorted(grasps, key=lambda c: c.start):
        k = scene.ids.index(grasp.object)
        first, last = grasp.frames(motion.fps, len(motion) - 1)
        sides = [c.side for c in grasps if c.object == grasp.object and c.overlaps(grasp)]
        held = slice(first, last + 1)
        middle, turn = hands[held, sides].mean(axis=1), Rotation.from_matrix(turns[held, sides[0]])
        if len(sides) == 2:  # it turns with the line between the hands
            x, y = (hands[held, 0] - hands[held, 1])[:, :2].T
            turn = Rotation.from_euler("z", np.arctan2(-x, y)[:, None])
        there, back = poses[first, k].copy(), turn[0].inv()
        poses[held, k, :3] = middle + (turn * back).apply(there[:3] - middle[0])
        poses[held, k, 3:] = (turn * back * Rotation.from_quat(there[3:], scalar_first=True)).as_quat(scalar_first=True)
        poses[last + 1 :, k] = poses[last, k]
        for under in scene.objects:
            if under.contains and under.id != grasp.object and under.floor_distance(poses[last, k, :2]) == 0.0:
                poses[last + 1 :, k, 2] = under.pos[2] - scene.objects[k].bounds[0, 2]
    return poses
