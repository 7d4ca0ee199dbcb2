import json
import math
import os
import pickle
import re
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from exoactor_core.body import BODY_JOINT_NAMES, HUMAN_PARENTS, BodyModel
from exoactor_core.errors import BadInput
from exoactor_core.motion import HumanMotion
from exoactor_pose.file import FileReader
from exoactor_pose.importers import read, recognises
from exoactor_pose.importers.placement import floor_under

joblib = pytest.importorskip("joblib")

FPS = 30.0
FRAMES = 90
BETAS = np.r_[1.0, np.zeros(9)]  # a person of 1.76 m in SMPL
BODY = BodyModel.load()
SMPL_PELVIS = np.array([-0.0022, -0.2408, 0.0286])  # of the neutral model
PATH = 1.5  # m


def smooth(start, stop, frames=FRAMES):
    t = np.clip((np.arange(frames) - start) / (stop - start), 0, 1)
    return t * t * (3 - 2 * t)


def known():
    """Stands, glides 1.5 m ahead and to the left while turning, bending the knees and lifting an arm, and stands."""
    s = smooth(20, 70)
    pose = np.zeros((FRAMES, 21, 3))
    for hip, knee, ankle in ((0, 3, 6), (1, 4, 7)):
        bend = 0.4 * np.sin(np.pi * s)
        pose[:, hip, 0], pose[:, knee, 0], pose[:, ankle, 0] = -bend, 2 * bend, -bend
    pose[:, 15, 2], pose[:, 16, 2] = -1.1, 1.1 - 0.8 * s
    pose[:, 17, 1] = -0.5 * s
    turn = Rotation.from_rotvec(np.outer(0.8 * s, [0, 0, 1])) * Rotation.from_matrix([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    hands = np.zeros((FRAMES, 90))
    hands[:, 2] = 0.3 * s
    betas = np.r_[0.06 / 0.102, np.zeros(9)]
    motion = HumanMotion(FPS, np.zeros((FRAMES, 3)), turn.as_rotvec(), pose.reshape(FRAMES, 63), betas, hands)
    pelvis = np.stack([PATH * 0.8 * s, PATH * 0.6 * s, -BODY.foot_points(motion)[..., 2].min(axis=1)], axis=1)
    pelvis[:, 2] += BODY.rest_joints(betas)[0, 2]
    transl = pelvis - BODY.rest_joints(betas)[0]
    return HumanMotion(FPS, transl, turn.as_rotvec(), pose.reshape(FRAMES, 63), betas, hands)


KNOWN = known()
PELVIS = KNOWN.transl + BODY.rest_joints(KNOWN.betas)[0]
ROOT = Rotation.from_rotvec(KNOWN.global_orient)

# Some world that is the tool's: heading and origin differ from ours.
YAW, ORIGIN = Rotation.from_euler("z", 2.0), np.array([3.0, -2.0, 0.7])
TO_Y_UP = Rotation.from_matrix([[0, 1, 0], [0, 0, 1], [1, 0, 0]])


def z_up():
    """Root and pelvis in a tool's world with z up."""
    return YAW * ROOT, YAW.apply(PELVIS) + ORIGIN


def y_up():
    root, pelvis = z_up()
    return TO_Y_UP * root, TO_Y_UP.apply(pelvis)


def smpl_pose(root):
    """(T, 72) of SMPL: the two hand joints say something that is to be dropped."""
    return np.concatenate([root.as_rotvec(), KNOWN.body_pose, np.full((FRAMES, 6), 0.3)], axis=1)


def f32(array):
    return np.asarray(array, dtype=np.float32)


# --- the files, as each tool writes them -----------------------------------------------------------------------------


def write_gvhmr(folder, **change):
    root, pelvis = y_up()
    params = {
        "body_pose": torch.tensor(f32(KNOWN.body_pose)),
        "betas": torch.tensor(f32(np.tile(BETAS, (FRAMES, 1)))),
        "global_orient": torch.tensor(f32(root.as_rotvec())),
        "transl": torch.tensor(f32(pelvis - SMPL_PELVIS)),
    } | change
    incam = {key: torch.zeros_like(value) for key, value in params.items()}
    logits = torch.zeros(1, FRAMES, 6)
    pred = {
        "smpl_params_global": params,
        "smpl_params_incam": incam,
        "K_fullimg": torch.eye(3).repeat(FRAMES, 1, 1),
        "net_outputs": {
            "model_output": {"pred_x": torch.zeros(1, FRAMES, 151), "static_conf_logits": logits},
            "pred_smpl_params_global": {k: v[None] for k, v in params.items()},
        },
    }
    torch.save(pred, folder / "hmr4d_results.pt")
    return folder / "hmr4d_results.pt"


def write_gem(folder):
    pred = torch.load(write_gvhmr(folder), weights_only=True)
    torch.save(
        {
            "body_params_incam": pred["smpl_params_incam"],
            "body_params_global": pred["smpl_params_global"],
            "K_fullimg": pred["K_fullimg"],
            "segment_info": [{"type": "video", "start": 0, "end": FRAMES, "path": "walk.mp4"}],
        },
        folder / "smpl_params.pt",
    )
    return folder / "smpl_params.pt"


def write_wham(folder):
    root, pelvis = y_up()
    results = defaultdict(dict)
    for subject, part in ((0, slice(0, 40)), (3, slice(0, FRAMES))):
        results[subject]["pose"] = f32(np.zeros((FRAMES, 72)))[part]
        results[subject]["trans"] = f32(np.zeros((FRAMES, 3)))[part]
        results[subject]["pose_world"] = f32(smpl_pose(root))[part]
        results[subject]["trans_world"] = f32(pelvis - SMPL_PELVIS)[part]
        results[subject]["betas"] = f32(np.tile(BETAS, (FRAMES, 1)))[part]
        results[subject]["verts"] = np.zeros((FRAMES, 100, 3), np.float32)[part]
        results[subject]["frame_ids"] = np.arange(FRAMES)[part]
    joblib.dump(results, folder / "wham_output.pkl")
    return folder / "wham_output.pkl"


def write_tram(folder):
    root, pelvis = y_up()
    pan = Rotation.from_rotvec(np.outer(np.linspace(0, 0.7, FRAMES), [0, 1, 0]))
    camera = Rotation.from_euler("x", np.pi + 0.2) * pan
    place = np.stack([np.linspace(0, 1, FRAMES), np.full(FRAMES, 1.5), np.full(FRAMES, -4.0)], axis=1)
    in_camera = camera.inv() * root
    rotmat = np.tile(np.eye(3), (FRAMES, 24, 1, 1))
    rotmat[:, 0] = in_camera.as_matrix()
    rotmat[:, 1:22] = Rotation.from_rotvec(KNOWN.body_pose.reshape(-1, 3)).as_matrix().reshape(FRAMES, 21, 3, 3)
    track = {
        "pred_cam": torch.zeros(FRAMES, 3),
        "pred_pose": torch.zeros(FRAMES, 144),
        "pred_shape": torch.tensor(f32(np.tile(BETAS, (FRAMES, 1)))),
        "pred_rotmat": torch.tensor(f32(rotmat)),
        "pred_trans": torch.tensor(f32(camera.inv().apply(pelvis - place) - SMPL_PELVIS))[:, None],
        "frame": torch.arange(FRAMES),
    }
    world = {
        "pred_cam_R": f32(camera.as_matrix()),
        "pred_cam_T": f32(place),
        "world_cam_R": f32(camera.as_matrix()),
        "world_cam_T": f32(place),
        "img_focal": np.float64(900.0),
        "img_center": np.array([640.0, 360.0]),
        "spec_focal": np.float64(800.0),
    }
    (folder / "hps").mkdir()
    np.save(folder / "camera.npy", world)
    np.save(folder / "hps" / "hps_track_0.npy", track)
    np.save(folder / "hps" / "hps_track_1.npy", {key: value[:30] for key, value in track.items()})
    return folder


def write_prompthmr(folder):
    root, pelvis = y_up()
    pose = np.concatenate([root.as_rotvec(), KNOWN.body_pose, np.zeros((FRAMES, 9)), KNOWN.hand_pose], axis=1)
    contact = np.zeros((FRAMES, 6), bool)
    contact[:20, 0] = True
    seen = np.r_[0:30, 40:FRAMES]

    def person(rows):
        return {
            "track_id": 1,
            "frames": rows,
            "bboxes": np.zeros((len(rows), 4)),
            "smplx_cam": {"pose": pose[rows] * 0, "contact": contact[rows], "rotmat": np.zeros((len(rows), 55, 3, 3))},
            "smplx_world": {
                "pose": f32(pose)[rows],
                "shape": f32(np.tile(BETAS, (len(rows), 1))),
                "trans": f32(pelvis - SMPL_PELVIS)[rows],
            },
        }

    results = {
        "camera": {"pred_cam_R": np.tile(np.eye(3), (FRAMES, 1, 1)), "img_focal": np.float32(900)},
        "people": {1: person(seen), 2: person(np.arange(10))},
        "timings": {},
        "masks": np.zeros((FRAMES, 8, 8), bool),
        "has_tracks": True,
        "contact_joint_ids": [7, 10, 8, 11, 20, 21],
        "camera_world": {"Rwc": np.tile(np.eye(3), (FRAMES, 1, 1)), "viz_scale": 2.0, "viz_center": [0.0, 0, 0.0]},
    }
    joblib.dump(results, folder / "results.pkl")
    return folder / "results.pkl"


def write_phalp(folder, pitch=0.15):
    # The camera stands at 1.3 m, 5 m behind where the person starts, looks along +x and a little down.
    camera = Rotation.from_euler("x", -pitch) * Rotation.from_matrix([[0, -1, 0], [0, 0, -1], [1, 0, 0]])
    root = camera * ROOT
    where = camera.apply(PELVIS - [-5.0, 0.0, 1.3]) - SMPL_PELVIS
    height, width = 720, 1280
    focal = 0.5 * width / math.tan(math.radians(55) / 2) * 256 / width
    where[:, 2] *= 5000 / focal
    body = Rotation.from_rotvec(KNOWN.body_pose.reshape(-1, 3)).as_matrix().reshape(FRAMES, 21, 3, 3)
    visuals = {}
    for t in range(FRAMES):
        smpl = {
            "global_orient": f32(root[t].as_matrix())[None],
            "body_pose": f32(np.concatenate([body[t], np.tile(np.eye(3), (2, 1, 1))])),
            "betas": f32(BETAS),
        }
        name = f"outputs/_DEMO/walk/img/{t + 1:06d}.jpg"
        visuals[name] = {
            "time": t,
            "shot": 0,
            "frame_path": name,
            "tracked_ids": [1],
            "tracked_bbox": [np.zeros(4)],
            "tid": [1],
            "bbox": [np.zeros(4)],
            "tracked_time": [0 if t != 50 else 2],
            "size": [[height, width]],
            "conf": [np.float32(0.9)],
            "mask": [{"size": [256, 256], "counts": "PPP"}],
            "smpl": [smpl],
            "camera": [f32(where[t])],
            "ava_action": {1: torch.zeros(1, 80)},
            "label": {1: np.zeros((1, 80))},
            "camera_bbox": [np.zeros(3, np.float32)],
            "3d_joints": [np.zeros((45, 3), np.float32)],
            "extra_data": [0],
        }
    joblib.dump(visuals, folder / "demo_walk.pkl", compress=3)
    return folder / "demo_walk.pkl"


def write_amass(folder, width=156, key="mocap_framerate"):
    root, pelvis = z_up()
    poses = {
        72: smpl_pose(root),
        156: np.concatenate([root.as_rotvec(), KNOWN.body_pose, KNOWN.hand_pose], axis=1),
        165: np.concatenate([root.as_rotvec(), KNOWN.body_pose, np.zeros((FRAMES, 9)), KNOWN.hand_pose], axis=1),
    }[width]
    table = {
        "trans": pelvis - SMPL_PELVIS,
        "gender": "neutral",
        key: np.float64(FPS),
        "betas": np.r_[BETAS, np.zeros(6)],
        "dmpls": np.zeros((FRAMES, 8)),
        "poses": poses,
        "marker_labels": np.array(["LHIP", None], dtype=object),
    }
    np.savez(folder / "walk_poses.npz", **table)
    return folder / "walk_poses.npz"


def write_amass_split(folder):
    """The later layout without ``poses``, as GMR and others expect it."""
    root, pelvis = z_up()
    np.savez(
        folder / "walk_stageii.npz",
        trans=pelvis - SMPL_PELVIS,
        root_orient=root.as_rotvec(),
        pose_body=KNOWN.body_pose,
        pose_hand=KNOWN.hand_pose,
        betas=BETAS,
        surface_model_type="smplx",
        gender="neutral",
        mocap_frame_rate=FPS,
    )
    return folder / "walk_stageii.npz"


WRITERS = {
    "GVHMR": write_gvhmr,
    "GEM": write_gem,
    "WHAM": write_wham,
    "TRAM": write_tram,
    "PromptHMR": write_prompthmr,
    "SMPL": lambda f: write_amass(f, 72),
    "SMPL-H": write_amass,
    "SMPL-X": lambda f: write_amass(f, 165, "mocap_frame_rate"),
    "SMPL-X split": write_amass_split,
}


# --- what must come out ----------------------------------------------------------------------------------------------


def turned(a, b):
    """Largest angle between two motions' roots, rad."""
    return (Rotation.from_rotvec(a.global_orient).inv() * Rotation.from_rotvec(b.global_orient)).magnitude().max()


@pytest.mark.parametrize("tool", WRITERS)
def test_the_known_motion_comes_out(tmp_path, tool):
    path = WRITERS[tool](tmp_path)
    assert recognises(path)
    estimate = read(path)
    motion = estimate.motion
    assert (motion.fps, len(motion)) == (FPS, FRAMES)
    assert estimate.metrics["source"] == ("AMASS" if tool.startswith("SMPL") else tool)
    lacks = tool == "PromptHMR"  # some frames, which are interpolated
    assert turned(motion, KNOWN) < (0.02 if lacks else 1e-3)
    np.testing.assert_allclose(motion.betas, KNOWN.betas, atol=1e-3)
    close = 0.03 if lacks else 0.003
    if not lacks:
        np.testing.assert_allclose(motion.body_pose, KNOWN.body_pose, atol=1e-4)
    joints = BODY.joints(motion)[:, :22] - BODY.joints(KNOWN)[:, :22]
    np.testing.assert_allclose(joints[..., :2], 0, atol=max(close, 0.008 * (tool == "TRAM")))  # SMPL's pelvis, rounded
    np.testing.assert_allclose(joints[..., 2], 0, atol=0.02)
    assert estimate.metrics["root_path_m"] == pytest.approx(PATH, abs=0.02)
    assert BODY.foot_points(motion)[..., 2].min() > -0.005
    if not lacks:
        assert motion.contacts[:15].min() > 0.5  # nobody told: found
        assert motion.contacts[40:50].max() < 0.5


def test_phalp_stands_up_and_walks(tmp_path):
    estimate = read(write_phalp(tmp_path))
    motion = estimate.motion
    assert turned(motion, KNOWN) < math.radians(4)
    np.testing.assert_allclose(motion.body_pose, KNOWN.body_pose, atol=1e-4)
    off = BODY.joints(motion)[:, 0] - BODY.joints(KNOWN)[:, 0]
    assert np.linalg.norm(off[:, :2], axis=1).max() < 0.08 * PATH
    assert abs(off[:, 2]).max() < 0.06
    assert (motion.confidence[49], motion.confidence[50]) == (1.0, 0.2)
    assert "gravity" in estimate.metrics["notes"][0]


def test_hands_and_contacts_that_the_file_tells(tmp_path):
    np.testing.assert_allclose(read(write_amass(tmp_path)).motion.hand_pose, KNOWN.hand_pose)
    motion = read(write_prompthmr(tmp_path)).motion
    np.testing.assert_allclose(motion.hand_pose[:30], KNOWN.hand_pose[:30], atol=1e-6)
    np.testing.assert_array_equal(motion.contacts[:25, 0], [1.0] * 20 + [0.0] * 5)
    assert motion.contacts[:, 1:].max() == 0


def test_missing_frames_are_interpolated_and_told(tmp_path):
    estimate = read(write_prompthmr(tmp_path))
    assert estimate.metrics["interpolated_frames"] == 10
    assert estimate.motion.confidence[29:41].tolist() == [1.0] + [0.0] * 10 + [1.0]
    assert abs(np.diff(estimate.motion.transl, axis=0)).max() < 0.06
    assert estimate.metrics["notes"][1].startswith("The person is not seen from 1.0 to 1.3 s")


@pytest.mark.parametrize("write", [write_wham, write_tram, write_prompthmr])
def test_who(tmp_path, write):
    path = write(tmp_path)
    longest = read(path)
    assert longest.metrics["people"] == 2
    other = {"WHAM": ("0", 40), "TRAM": ("1", 30), "PromptHMR": ("2", 10)}[longest.metrics["source"]]
    assert len(read(path, person=other[0]).motion) == other[1]
    with pytest.raises(BadInput, match=rf"there is no person 'x': there are .*{other[0]} \({other[1]} frames\)"):
        read(path, person="x")


def test_tram_by_its_files(tmp_path):
    write_tram(tmp_path)
    assert len(read(tmp_path / "camera.npy").motion) == FRAMES
    assert len(read(tmp_path / "hps" / "hps_track_1.npy").motion) == 30
    (tmp_path / "camera.npy").unlink()
    with pytest.raises(BadInput, match=r"needs .*camera\.npy"):
        read(tmp_path / "hps" / "hps_track_1.npy")


def test_frame_rate(tmp_path):
    path = write_wham(tmp_path)
    assert "30 was taken" in read(path).metrics["notes"][0]
    estimate = FileReader(path=str(path), fps=25.0)(None)
    assert (estimate.motion.fps, estimate.metrics["notes"]) == (25.0, [])
    np.savez(tmp_path / "b.npz", **dict(np.load(write_amass_split(tmp_path))) | {"mocap_frame_rate": 120.0})
    assert read(tmp_path / "b.npz").motion.fps == 120.0


def test_our_own_file_stays_as_it_is(tmp_path):
    own = HumanMotion(FPS, KNOWN.transl + 5.0, KNOWN.global_orient, KNOWN.body_pose, KNOWN.betas)
    own.save(tmp_path / "human.npz")
    np.testing.assert_array_equal(read(tmp_path / "human.npz").motion.transl, own.transl)


def test_floor_that_drifts_is_followed_and_a_block_is_not():
    t = np.arange(300)
    contacts, slope = np.ones((300, 4)), 0.3 + 0.002 * t  # 0.6 m in 10 s, as path integration can drift
    heights = np.repeat(slope[:, None], 4, axis=1)
    np.testing.assert_allclose(floor_under(heights, contacts, FPS)[20:-20], slope[20:-20], atol=0.005)
    contacts[60:90:2] = 0  # what is in the air does not count
    heights[60:90:2] += 0.2
    heights[150:180] += 0.4
    np.testing.assert_allclose(floor_under(heights, contacts, FPS)[20:-20], slope[20:-20], atol=0.02)
    np.testing.assert_allclose(floor_under(heights, 0 * contacts, FPS), np.percentile(heights, 5), atol=0.01)


def test_files_as_older_versions_wrote_them(tmp_path):
    pred = torch.load(write_gvhmr(tmp_path), weights_only=True)
    torch.save(pred, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert recognises(tmp_path / "old.pt")
    assert turned(read(tmp_path / "old.pt").motion, KNOWN) < 1e-3


# --- bvh -------------------------------------------------------------------------------------------------------------

_PARTS = ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist")
# Each skeleton's names of the limbs' joints, of the spine up to the head, and joints that SMPL-X lacks by the joint
# that they stand before ("<") or hang on (">").
_SKELETONS = {
    "CMU": (
        "UpLeg Leg Foot ToeBase Shoulder Arm ForeArm Hand",
        "Hips LowerBack Spine Spine1 Neck Head",
        "left_hip<LHipJoint right_hip<RHipJoint head<Neck1 left_wrist>LThumb left_wrist>LeftFingerBase",
    ),
    "LAFAN1": ("UpLeg Leg Foot Toe Shoulder Arm ForeArm Hand", "Hips Spine Spine1 Spine2 Neck Head", ""),
    "Mixamo": (
        "UpLeg Leg Foot ToeBase Shoulder Arm ForeArm Hand",
        "Hips Spine Spine1 Spine2 Neck Head",
        "head>HeadTop_End left_wrist>LeftHandThumb1 right_wrist>RightHandIndex1 left_foot>LeftToe_End",
    ),
    "SOMA": (
        "Leg Shin Foot ToeBase Shoulder Arm ForeArm Hand",
        "Hips Spine1 Spine2 Chest Neck1 Head",
        "head<Neck2 head>Jaw left_wrist>LeftHandThumb1 left_elbow>LeftForeArmTwist1 left_hip>LeftLegTwist1",
    ),
}


def bvh_joints(skeleton):
    """Names, parents, and the joints of SMPL-X (or None) of a skeleton, parents first."""
    limbs, trunk, extra = _SKELETONS[skeleton]
    limb = dict(zip(_PARTS, limbs.split(), strict=True))
    centre = dict(zip(("pelvis", "spine1", "spine2", "spine3", "neck", "head"), trunk.split(), strict=True))
    joints, at = [], {}
    for j, joint in enumerate(BODY_JOINT_NAMES):
        parent = at.get(HUMAN_PARENTS[j])
        for name in re.findall(rf"\b{joint}<(\w+)", extra):
            joints.append((name, parent, None))
            parent = len(joints) - 1
        side, _, part = joint.partition("_")
        joints.append((f"{side.capitalize()}{limb[part]}" if part else centre[joint], parent, j))
        at[j] = len(joints) - 1
        joints += [(name, at[j], None) for name in re.findall(rf"\b{joint}>(\w+)", extra)]
    prefix = "mixamorig:" if skeleton == "Mixamo" else ""
    return [(prefix + name, parent, j) for name, parent, j in joints]


def write_bvh(path, skeleton, up, unit=0.01):
    """The known motion on a skeleton that rests in T-pose, in centimetres, with y or z up."""
    joints = bvh_joints(skeleton)
    rest = BODY.rest_joints(KNOWN.betas)[:22]
    # The rest pose stands upright in the file's world, facing its forward.
    to_file, stand = (TO_Y_UP, Rotation.identity()) if up == "y" else (Rotation.identity(), TO_Y_UP.inv())
    lines, order = ["HIERARCHY"], []

    def numbers(values):
        return " ".join(f"{v:.6f}" for v in values)

    def write(k, depth):
        name, parent, j = joints[k]
        order.append(j)
        before = joints[parent] if parent is not None else None
        while before is not None and before[2] is None:
            before = joints[before[1]]
        offset = [0, 0, 0] if before is None or j is None else stand.apply(rest[j] - rest[before[2]]) / unit
        children = [c for c, joint in enumerate(joints) if joint[1] == k]
        tab = "  " * depth
        lines.extend(
            [f"{tab}{'ROOT' if before is None else 'JOINT'} {name}", tab + "{", f"{tab}  OFFSET {numbers(offset)}"]
        )
        places = "6 Xposition Yposition Zposition" if before is None else "3"
        lines.append(f"{tab}  CHANNELS {places} Zrotation Xrotation Yrotation")
        for child in children:
            write(child, depth + 1)
        if not children:
            tip = stand.apply([0.0, 0.0, 0.05] if "Toe" in name else [0.0, 0.05, 0.0]) / unit
            lines.extend([f"{tab}  End Site", tab + "  {", f"{tab}    OFFSET {numbers(tip)}", tab + "  }"])
        lines.append(tab + "}")

    write(0, 0)
    lines += ["MOTION", f"Frames: {FRAMES}", f"Frame Time: {1 / FPS:.7f}"]
    turns = {None: np.zeros((FRAMES, 3)), 0: (to_file * (YAW * ROOT) * stand.inv()).as_euler("ZXY", degrees=True)}
    for j in range(1, 22):
        local = stand * Rotation.from_rotvec(KNOWN.body_pose[:, 3 * j - 3 : 3 * j]) * stand.inv()
        turns[j] = local.as_euler("ZXY", degrees=True)
    place = to_file.apply(YAW.apply(PELVIS) + ORIGIN) / unit
    table = np.concatenate([place, *(turns[j] for j in order)], axis=1)
    path.write_text("\n".join([*lines, *map(numbers, table)]) + "\n")
    return path


@pytest.mark.parametrize("up", ["y", "z"])
@pytest.mark.parametrize("skeleton", _SKELETONS)
def test_bvh(tmp_path, skeleton, up):
    path = write_bvh(tmp_path / "walk.bvh", skeleton, up)
    assert recognises(path)
    estimate = read(path)
    assert estimate.metrics["source"] == "BVH"
    assert (estimate.motion.fps, len(estimate.motion)) == (pytest.approx(FPS, abs=0.01), FRAMES)
    assert turned(estimate.motion, KNOWN) < 0.01
    joints = BODY.joints(estimate.motion)[:, :22] - BODY.joints(KNOWN)[:, :22]
    np.testing.assert_allclose(joints, 0, atol=0.02)


# --- what must be refused --------------------------------------------------------------------------------------------


class _Evil:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("save", ["joblib", "pickle", "torch", "npy", "npz"])
def test_no_file_runs_anything(tmp_path, save):
    mark, path = tmp_path / "ran", tmp_path / "result"
    table = {"people": {1: _Evil(mark)}, "camera_world": {}, "poses": 1, "trans": np.zeros((2, 3))}
    if save == "joblib":
        joblib.dump(table, path)
    elif save == "pickle":
        path.write_bytes(pickle.dumps(table))
    elif save == "torch":
        torch.save({"smpl_params_global": _Evil(mark)}, path)
    elif save == "npy":
        with path.open("wb") as file:
            np.save(file, table)
    else:
        with path.open("wb") as file:
            np.savez(file, trans=np.zeros((2, 3)), poses=np.array([_Evil(mark)], dtype=object))
    assert recognises(path)
    with pytest.raises(BadInput, match=r"posix\.mkdir|more than tensors|Supported are"):
        read(path)
    assert not mark.exists()


def test_unknown_files_name_what_is_understood(tmp_path):
    torch.save({"state_dict": torch.zeros(3)}, tmp_path / "model.pt")
    with pytest.raises(BadInput, match=r"it holds state_dict\. Supported are GVHMR's .*\.bvh\."):
        read(tmp_path / "model.pt")
    np.savez(tmp_path / "long.npz", **{f"array_{k}": np.zeros(1) for k in range(9)})
    with pytest.raises(BadInput, match=r"it holds array_0, .*, array_7 and more\. Supported are"):
        read(tmp_path / "long.npz")
    (tmp_path / "notes.txt").write_text("hello")
    assert not recognises(tmp_path / "notes.txt")
    with pytest.raises(BadInput, match="Supported are"):
        read(tmp_path / "notes.txt")
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    assert not recognises(tmp_path / "empty.zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", "hello")
    assert not recognises(tmp_path / "other.zip")
    (tmp_path / "empty.npz").touch()
    with pytest.raises(BadInput, match=r"empty\.npz is empty"):
        read(tmp_path / "empty.npz")
    with pytest.raises(BadInput, match="There is no file"):
        read(tmp_path / "none.pt")
    with pytest.raises(BadInput, match="set its option path"):
        FileReader()(None)
    torch.save({"body_params_global": {"identity_coeffs": torch.zeros(3, 45)}}, tmp_path / "hpe_results.pt")
    with pytest.raises(BadInput, match=r"SOMA body .* export its motion as \.bvh"):
        read(tmp_path / "hpe_results.pt")


def test_what_lacks_or_is_not_finite_is_named(tmp_path):
    bad = torch.zeros(FRAMES, 3)
    bad[7, 1] = math.nan
    with pytest.raises(BadInput, match=r"\(GVHMR\): its pelvis holds a number that is not finite, first in frame 7\."):
        read(write_gvhmr(tmp_path, transl=bad))
    with pytest.raises(BadInput, match=r"body_pose has shape \(10, 63\), but \(90, any\) is needed"):
        read(write_gvhmr(tmp_path, body_pose=torch.zeros(10, 63)))
    results = joblib.load(write_wham(tmp_path))
    del results[3]["trans_world"]
    joblib.dump(results, tmp_path / "a.pkl")
    with pytest.raises(BadInput, match=r"\(WHAM\): trans_world is missing"):
        read(tmp_path / "a.pkl")
    for wrong, match in ((0, "not increase"), (10**9, "reach from number 0 to 1000000000"), (math.nan, "not increase")):
        results = joblib.load(write_wham(tmp_path))
        results[3]["frame_ids"] = np.r_[np.arange(FRAMES - 1), wrong]
        joblib.dump(results, tmp_path / "a.pkl")
        with pytest.raises(BadInput, match=match):
            read(tmp_path / "a.pkl")
    np.savez(tmp_path / "a.npz", trans=np.zeros((0, 3)), poses=np.zeros((0, 156)))
    with pytest.raises(BadInput, match="there are no frames"):
        read(tmp_path / "a.npz")


@pytest.mark.parametrize("tool", [*WRITERS, "PHALP", "BVH"])
def test_damaged_files(tmp_path, tool):
    write = WRITERS | {"PHALP": write_phalp, "BVH": lambda f: write_bvh(f / "a.bvh", "CMU", "y")}
    path = write[tool](tmp_path)
    path = path / "camera.npy" if path.is_dir() else path
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for k in range(12):
        raw = bytearray(whole)
        for i in rng.integers(0, min(len(raw), 3000), 20):
            raw[i] = int(rng.integers(256))
        path.write_bytes(raw[: rng.integers(len(raw))] if k % 2 else raw)
        try:
            read(path)
        except BadInput as error:
            message = str(error)
            assert message.endswith(".") and "\n" not in message, message  # noqa: PT018


def test_files_of_the_test_data():
    data = Path(os.environ.get("EXOACTOR_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
    paths = sorted((data / "human").glob("*.bvh"))
    if not paths:
        pytest.skip(f"no test data at {data}")
    for path in paths:
        motion = read(path).motion
        assert re.match("bvh", path.stem)
        assert -0.02 < BODY.foot_points(motion)[..., 2].min() < 0.05


# --- the command line ------------------------------------------------------------------------------------------------


def estimate_command(*arguments):
    from typer.testing import CliRunner

    from exoactor.cli import app

    return CliRunner().invoke(app, ["estimate", *map(str, arguments)])


def test_the_command_line_reads_result_files(tmp_path):
    path = write_wham(tmp_path).rename(tmp_path / "what_it_is_called_says_nothing")
    out = tmp_path / "human.npz"
    done = estimate_command(path, "-o", out, "--json", "-s", "estimate.fps=25", "-s", "estimate.person=0")
    assert done.exit_code == 0, done.output
    metrics = json.loads(done.stdout.splitlines()[-1])
    assert (metrics["source"], metrics["person"]) == ("WHAM", "0")
    motion = HumanMotion.load(out)
    assert (motion.fps, len(motion)) == (25.0, 40)


def test_the_command_line_says_what_it_understands(tmp_path):
    (tmp_path / "notes.mp4").write_text("hello")
    refused = estimate_command(tmp_path / "notes.mp4").exception
    assert isinstance(refused, BadInput)
    assert "video" in str(refused)
    assert "PromptHMR's results.pkl" in str(refused)
    assert "PromptHMR" not in str(estimate_command(tmp_path / "none.mp4").exception)
