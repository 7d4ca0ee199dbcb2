"""Motions in the formats of other tools.

Robot motions:

========================  ===================================================================================
``.npz``                  ours (`RobotMotion.save`)
``.pkl``                  GMR's pickle: fps, root_pos, root_rot (x, y, z, w), dof_pos; also TWIST2's
``.csv``                  Unitree's retargeted LAFAN1: root position, quaternion x, y, z, w, 29 joints, or as a
                          header names them; 30 frames per second; BeyondMimic's csv_to_npz reads the same
``.beyondmimic.npz``      BeyondMimic's: fps, joint_pos, joint_vel, body_*_w in Isaac Lab's order; 50 frames per
                          second, since its trainer plays a frame every 20 ms whatever the file says
========================  ===================================================================================

Human motions: whatever the backend ``file`` of the stage estimate reads.

Pickles are read by `exoactor_core.unpickle`, which calls no code that a file names.

Sources: the savers and loaders of GMR (general_motion_retargeting), Unitree's LAFAN1_Retargeting_Dataset and
BeyondMimic (whole_body_tracking); Isaac Lab orders joints breadth first.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import continuous_quaternions, resample_poses
from exoactor_core.errors import BadInput, in_file
from exoactor_core.files import load_npz, read_text, save_bytes, save_npz
from exoactor_core.motion import JOINT_NAMES, RobotMotion
from exoactor_core.rotations import FROM_Y_UP
from exoactor_core.unpickle import read_pickle

ROBOT_FORMATS: dict[str, str] = {"npz": ".npz", "gmr": ".pkl", "csv": ".csv", "beyondmimic": ".beyondmimic.npz"}
"""File name extensions of the robot motion formats, by name."""

LAFAN1_FPS = 30.0
"""Frame rate of Unitree's csv files, which do not state it."""

BEYONDMIMIC_FPS = 50.0

ISAAC_ORDER: tuple[int, ...] = (
    0, 6, 12, 1, 7, 13, 2, 8, 14, 3, 9, 15, 22, 4, 10, 16, 23, 5, 11, 17, 24, 18, 25, 19, 26, 20, 27, 21, 28,
)  # fmt: skip
"""Isaac Lab's order of joints: entry k is the index in Unitree's motor order of its joint k."""

ISAAC_BODIES: tuple[str, ...] = (
    "pelvis",
    *(JOINT_NAMES[i].replace("waist_pitch", "torso").replace("_joint", "_link") for i in ISAAC_ORDER),
)
"""Isaac Lab's order of the 30 bodies: the pelvis, then the link that each joint moves."""


def load_robot(path: str | Path, fps: float | None = None) -> RobotMotion:
    """Read a robot motion: .npz (ours or BeyondMimic's, as what is inside says), .pkl (GMR) or .csv (Unitree).

    ``fps`` is the frame rate of a csv; None: as it says, else 30. The other formats state theirs.

    Raises
    ------
    BadInput
        The file cannot be read, is not such a motion, or states its frame rate itself.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if fps is not None and suffix in (".npz", ".pkl"):
        raise BadInput(f"{path} states its frame rate: leave out --fps, which is for csv files.")
    if suffix == ".npz":
        names = load_npz(path).keys()
        if "root_orient" in names:
            raise BadInput(f"{path} is a person's motion: 'exoactor retarget' fits it to the G1.")
        motion = load_beyondmimic(path) if "body_pos_w" in names else RobotMotion.load(path)
    elif suffix == ".pkl":
        motion = load_gmr(path)
    elif suffix == ".csv":
        motion = load_csv(path, fps)
    else:
        raise BadInput(f"{path} is not a robot motion that can be read: its name must end in .npz, .pkl or .csv.")
    with in_file(path):
        return z_up(motion)


def z_up(motion: RobotMotion) -> RobotMotion:
    """Turn a motion, with a note, in which the G1 stands along the y axis instead of z in nearly all frames.

    A G1 that lies along y looks the same, but its pelvis is as low over z = 0 as it is thick.

    Raises
    ------
    BadInput
        It stands or lies along y, and the file does not say which.
    """
    rotation = Rotation.from_quat(motion.root_quat_wxyz, scalar_first=True)
    along = rotation.apply([0.0, 0.0, 1.0])[:, 1]
    if (along > 0.75).mean() < 0.9:
        return motion
    height, z = motion.root_pos[:, 1], motion.root_pos[:, 2]
    stands = 0.4 < np.median(height) < 1.0 and np.ptp(height) < 0.6
    lies = z.min() > 0.03 and z.max() < 0.4
    if lies and not stands:
        return motion
    if lies or not stands:
        raise BadInput(
            "the G1 stands or lies along the y axis throughout, and the file does not say which: "
            "turn the motion so that z is up and the floor is at 0."
        )
    turn = Rotation.from_matrix(FROM_Y_UP)
    note = "The G1 stands along the file's y axis: y was taken as up, and the motion turned so that z is up."
    quat = (turn * rotation).as_quat(scalar_first=True)
    quat = continuous_quaternions(quat)
    return replace(motion, root_pos=turn.apply(motion.root_pos), root_quat_wxyz=quat, notes=(*motion.notes, note))


def robot_format(path: str | Path) -> str:
    """Name of the format that a file's ending says, of `ROBOT_FORMATS`. Raises `BadInput`: the ending is unknown."""
    endings = sorted(ROBOT_FORMATS.items(), key=lambda item: -len(item[1]))  # the longest match
    for name, ending in endings:
        if Path(path).name.lower().endswith(ending):
            return name
    raise BadInput(f"Cannot write {path}: its name must end in {', '.join(ROBOT_FORMATS.values())}.")


def save_robot(motion: RobotMotion, path: str | Path, format_: str = "") -> None:
    """Write a robot motion, atomically, in one of `ROBOT_FORMATS`; empty: the one that the name's ending says.

    Raises
    ------
    BadInput
        The ending or the format is unknown, or the folder cannot be written.
    """
    format_ = format_ or robot_format(path)
    if format_ not in ROBOT_FORMATS:
        raise BadInput(f"There is no format '{format_}' of robot motions: there are {', '.join(ROBOT_FORMATS)}.")
    savers = {"npz": RobotMotion.save, "gmr": save_gmr, "csv": save_csv, "beyondmimic": save_beyondmimic}
    savers[format_](motion, path)


def resample_robot(motion: RobotMotion, fps: float) -> RobotMotion:
    """Return the motion at another frame rate: positions linearly, orientations by slerp, contacts of the nearest."""
    poses = resample_poses(motion.root_pos, motion.root_quat_wxyz, motion.joint_pos, motion.fps, fps)
    contacts = motion.contacts
    if contacts is not None and len(poses[0]) != len(motion):
        nearest = np.rint(np.arange(len(poses[0])) * motion.fps / fps).astype(int)
        contacts = contacts[nearest.clip(0, len(motion) - 1)]
    return RobotMotion(fps, *poses, contacts)


# --- GMR --------------------------------------------------------------------------------------------------------------


def load_gmr(path: str | Path) -> RobotMotion:
    """Read GMR's pickle without running anything in it.

    Raises
    ------
    BadInput
        The file cannot be read, holds more than plain arrays, or is not a motion of the 29-joint G1.
    """
    path = Path(path)
    data = read_pickle(path)
    if not isinstance(data, dict):
        raise BadInput(f"{path} is not a GMR pickle: it does not hold a dictionary.")
    lacking = [key for key in ("fps", "root_pos", "root_rot", "dof_pos") if key not in data]
    if lacking:
        raise BadInput(f"{path} is not a GMR pickle: it lacks {', '.join(lacking)}.")
    return _robot_motion(path, *(data[key] for key in ("fps", "root_pos", "root_rot", "dof_pos")))


def save_gmr(motion: RobotMotion, path: str | Path) -> None:
    """Write GMR's pickle, atomically."""
    save_bytes(
        path,
        pickle.dumps(
            {
                "fps": motion.fps,
                "root_pos": motion.root_pos,
                "root_rot": np.ascontiguousarray(motion.root_quat_wxyz[:, [1, 2, 3, 0]]),
                "dof_pos": motion.joint_pos,
                "local_body_pos": None,
                "link_body_list": None,
            },
            protocol=4,
        ),
    )


def _robot_motion(
    path: Path, fps: Any, root_pos: Any, quat_xyzw: Any, joint_pos: Any, notes: tuple[str, ...] = ()
) -> RobotMotion:
    with in_file(path, "robot motion"):
        quat = np.asarray(quat_xyzw, dtype=np.float64)
        if quat.ndim != 2 or quat.shape[1] != 4:
            raise BadInput(f"The root rotations have shape {quat.shape}, but (T, 4) is needed.")
        return RobotMotion(float(fps), root_pos, quat[:, [3, 0, 1, 2]], joint_pos, notes=notes)


# --- csv --------------------------------------------------------------------------------------------------------------


_CSV_COLUMNS: tuple[tuple[str, ...], ...] = (
    *(tuple(f"{base}{axis}" for base in ("", "root_", "root_pos_", "base_", "pos_", "p")) for axis in "xyz"),
    *(
        tuple(f"{base}{axis}" for base in ("q", "q_", "quat_", "root_q", "root_quat_", "root_rot_", "base_q", "rot_"))
        for axis in "xyzw"
    ),
    *((name, name.removesuffix("_joint"), f"{name}_dof") for name in JOINT_NAMES),
)
"""Names of the 36 columns, in Unitree's order: pelvis, quaternion x, y, z, w, joints."""


def load_csv(path: str | Path, fps: float | None = None) -> RobotMotion:
    """Read Unitree's csv: 36 columns in its order, or in the order that a header line names.

    ``fps`` is the frame rate; None: by the column ``time`` (s) where there is one, else 30 with a note.

    Raises
    ------
    BadInput
        The file cannot be read, a column is unknown, missing or there twice, or a cell is not a number.
    """
    path = Path(path)
    text, notes = read_text(path)
    rows: list[list[float | None]] = []
    header: list[str] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        cells = [cell.strip().strip("\"'") for cell in line.split(",")]
        if not any(cells) or line.lstrip().startswith("#"):
            continue
        numbers = [_number(cell) for cell in cells]
        if not rows and all(value is None for value in numbers):
            if header is None:
                header = cells
            elif set(cells) - {"m", "rad", "s", "", "1", "-"}:
                raise BadInput(f"{path}, line {number}: the units must be m and rad: {', '.join(sorted(set(cells)))}.")
            continue
        if None in numbers:
            k = numbers.index(None)
            raise BadInput(f"{path}, line {number}: a cell is not a number: '{cells[k][:30]}' in column {k + 1}.")
        width = 36 if header is None else len(header)
        if len(numbers) != width:
            raise BadInput(f"{path}, line {number}: there are {len(numbers)} columns, but {width} are needed.")
        rows.append(numbers)
    if not rows:
        raise BadInput(f"{path} holds no frames.")
    table = np.array(rows, dtype=np.float64)
    if header is None:
        notes += ("The csv names no columns: Unitree's order was taken, quaternion x, y, z, w.",)
    else:
        order, time = _csv_order(path, header)
        if time is not None and len(table) > 1 and fps is None:
            step = float(np.median(np.diff(table[:, time])))
            if not step > 0:
                raise BadInput(f"{path}: the column {header[time]} does not increase.")
            fps = 1.0 / step
        table = table[:, order]
    if fps is None:
        fps = LAFAN1_FPS
        notes += (f"The csv does not say its frame rate: {fps:.0f} was taken; give another with --fps.",)
    return _robot_motion(path, fps, table[:, :3], table[:, 3:7], table[:, 7:], notes)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _csv_order(path: Path, header: list[str]) -> tuple[list[int], int | None]:
    """Columns of a file in Unitree's order, and the one of the time."""
    wanted = {name: k for k, names in enumerate(_CSV_COLUMNS) for name in names}
    order: dict[int, int] = {}
    time = None
    for column, name in enumerate(header):
        plain = name.lower().replace(" ", "_").replace(".", "_")
        if plain in ("time", "time_s", "timestamp", "t"):
            time = column
        elif plain in ("frame", "index"):
            continue
        elif plain not in wanted:
            raise BadInput(f"{path}: the column '{name}' is unknown: name the pelvis, its quaternion and the joints.")
        elif wanted[plain] in order:
            raise BadInput(f"{path}: the column '{name}' is there twice.")
        else:
            order[wanted[plain]] = column
    lacking = [_CSV_COLUMNS[k][-3 if k > 6 else 1] for k in range(36) if k not in order]
    if lacking:
        raise BadInput(f"{path} has no column {', '.join(lacking)}.")
    return [order[k] for k in range(36)], time


def save_csv(motion: RobotMotion, path: str | Path) -> None:
    """Write Unitree's csv, resampled to its 30 frames per second, atomically."""
    motion = resample_robot(motion, LAFAN1_FPS)
    table = np.concatenate([motion.root_pos, motion.root_quat_wxyz[:, [1, 2, 3, 0]], motion.joint_pos], axis=1)
    text = io.StringIO()
    np.savetxt(text, table, delimiter=",", fmt="%.8f")
    save_bytes(path, text.getvalue().encode())


# --- BeyondMimic ------------------------------------------------------------------------------------------------------


def load_beyondmimic(path: str | Path) -> RobotMotion:
    """Read BeyondMimic's npz; the pelvis is its first body.

    Raises
    ------
    BadInput
        The file cannot be read, or is not a motion of the 29-joint G1.
    """
    data = load_npz(path, required=("fps", "joint_pos", "body_pos_w", "body_quat_w"))
    joint, pos, quat = data["joint_pos"], data["body_pos_w"], data["body_quat_w"]
    if joint.ndim != 2 or joint.shape[1] != 29 or pos.ndim != 3 or quat.ndim != 3 or quat.shape[-1] != 4:
        raise BadInput(
            f"{path} is not BeyondMimic's motion of a 29-joint G1: joint_pos is {joint.shape}, body_pos_w {pos.shape}."
        )
    ours = np.empty_like(joint)
    notes: tuple[str, ...]
    order, notes = list(ISAAC_ORDER), ("The npz names no joints: Isaac Lab's order was taken.",)
    if "joint_names" in data:
        names, notes = [str(name) for name in np.ravel(data["joint_names"])], ()
        if sorted(names) != sorted(JOINT_NAMES):
            odd = sorted(set(names) ^ set(JOINT_NAMES))
            raise BadInput(f"{path}: joint_names are not the G1's 29 joints: {', '.join(odd[:3]) or 'one is twice'}.")
        order = [JOINT_NAMES.index(name) for name in names]
    bodies = [str(name) for name in np.ravel(data.get("body_names", ["pelvis"]))]
    if "pelvis" not in bodies or bodies.index("pelvis") >= min(pos.shape[1], quat.shape[1]):
        raise BadInput(f"{path}: body_names name no pelvis that body_pos_w holds.")
    root = bodies.index("pelvis")
    ours[:, order] = joint
    return _robot_motion(
        Path(path), np.ravel(data["fps"])[0], pos[:, root], quat[:, root][:, [1, 2, 3, 0]], ours, notes
    )


def save_beyondmimic(motion: RobotMotion, path: str | Path) -> None:
    """Write BeyondMimic's npz, resampled to its 50 frames per second, atomically.

    Velocities are central differences, in the world frame.
    """
    from exoactor_core.robot import link_poses

    motion = resample_robot(motion, BEYONDMIMIC_FPS)
    t, (pos, rot) = len(motion), link_poses(motion, ISAAC_BODIES)

    def rate(values: np.ndarray) -> np.ndarray:
        return np.gradient(values, axis=0) * motion.fps if t > 1 else np.zeros_like(values)

    turning = np.zeros_like(pos)
    if t > 1:
        before, after = np.maximum(np.arange(t) - 1, 0), np.minimum(np.arange(t) + 1, t - 1)
        change = Rotation.from_matrix((rot[after] @ rot[before].swapaxes(-1, -2)).reshape(-1, 3, 3)).as_rotvec()
        turning = change.reshape(t, -1, 3) * motion.fps / (after - before)[:, None, None]
    quat = Rotation.from_matrix(rot.reshape(-1, 3, 3)).as_quat(scalar_first=True).reshape(t, -1, 4)
    joint = motion.joint_pos[:, list(ISAAC_ORDER)]
    save_npz(
        path,
        fps=np.array([motion.fps]),
        joint_pos=joint.astype(np.float32),
        joint_vel=rate(joint).astype(np.float32),
        body_pos_w=pos.astype(np.float32),
        body_quat_w=quat.astype(np.float32),
        body_lin_vel_w=rate(pos).astype(np.float32),
        body_ang_vel_w=turning.astype(np.float32),
    )
