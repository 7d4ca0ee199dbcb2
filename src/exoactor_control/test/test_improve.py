"""Training of the tracker that sees its place, its heading and the reference ahead; its data and its split."""

import csv
import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from control_helpers import walk_ahead

from exoactor_control.controller.tracker import TrajectoryTracker
from exoactor_control.policy.policy import Policy
from exoactor_control.policy.spec import FOLDER, known_specs
from exoactor_control.reference.repair import flight
from exoactor_control.reference.trajectory import STANDING_FRAME, Reference, Trajectory, prepare
from exoactor_control.training import teachers
from exoactor_control.training.anchored import OBSERVATION_WIDTH, AnchoredRobots, Clip
from exoactor_control.training.clips import ClipQueue, Clips
from exoactor_control.training.data import family_of, make_hours
from exoactor_control.training.environment import NOMINAL, DomainRandomization, Episode
from exoactor_control.training.improve import Settings, Trainer, widened
from exoactor_control.training.rollouts import Outcome, as_teacher, track_each
from exoactor_control.training.split import part_of, trained_on, was_trained_on
from exoactor_control.training.student import Student, load_teacher, to_onnx
from exoactor_control.training.teachers import screen
from exoactor_control.training.validation import Validation
from exoactor_control.training.whole_body import FAMILIES, whole_body
from exoactor_core.errors import BadInput, Cancelled, Missing
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import (
    HAND_LINKS,
    HAND_POINT,
    STANDING,
    STANDING_HEIGHT,
    self_collision_depth,
    sole_points,
    standing_motion,
)
from exoactor_core.robot_state import RobotState

LAYOUT = known_specs()["twist2"]
TINY = Settings(robots=4, steps=6, minibatches=2, buffer=200, imitation_samples=0.0)


def trajectory():
    return Trajectory.blended(Reference(walk_ahead(0.5, 3), ()), STANDING, STANDING_FRAME, 1.0)


def clip(i=0, teacher=0):
    return Clip.of(Episode.from_trajectory(trajectory()), i, teacher)


def robots(count=1, randomization=NOMINAL, mid_stride=0.0):
    return AnchoredRobots(count, clip, LAYOUT, randomization, 0, 1, np.zeros((1, 29)), mid_stride)


def test_the_robots_observe_what_the_deployed_tracker_feeds_its_policy(tmp_path):
    """Number by number, over more steps than the history has, the robot having strayed and turned."""
    onnx.save(to_onnx(Student(OBSERVATION_WIDTH, (8,))), str(tmp_path / "p.onnx"))
    policy = Policy.load(tmp_path / "p.onnx", "anchored")
    fed = []
    policy.network.run = lambda x: (fed.append(x), [np.zeros(29, np.float32)])[1]
    many = robots()
    # The blend-in is left out of the trajectory, after which the tracker would lay the motion anew
    tracker = TrajectoryTracker(policy, 0.0, 0.0)
    whole = replace(trajectory(), begin=0, end=0)
    rng = np.random.default_rng(0)
    for t in range(40):
        state = RobotState(0.02 * t, many.qpos[0, 7:], many.qvel[0, 6:], many.qpos[0, 3:7], many.qvel[0, 3:6])
        if t == 0:
            tracker.start(whole, state, keep_policy=False)
        # the odometry is as good as the truth
        tracker.odometry.update = lambda state: None
        tracker.odometry.position, tracker.odometry.height = many.qpos[0, :2].copy(), float(many.qpos[0, 2])
        yaw = np.arctan2(
            *(
                2 * (many.qpos[0, 3] * many.qpos[0, 6] + many.qpos[0, 4] * many.qpos[0, 5]),
                1 - 2 * (many.qpos[0, 5] ** 2 + many.qpos[0, 6] ** 2),
            )
        )
        tracker.odometry.yaw = float(yaw)
        if t == 0:
            tracker._align(0, float(yaw), many.qpos[0, :2].copy())
        tracker.tick(state)
        np.testing.assert_allclose(many.observe()[0], fed[-1], atol=2e-4)
        action = 0.2 * rng.normal(size=(1, 29))
        policy.last_action = action[0]
        many.step(action)
    assert np.abs(fed[-1][1432:1434]).max() > 1e-3  # it did stray


def test_a_robot_that_does_as_the_reference_is_rewarded_most_and_one_that_falls_fails():
    many = robots(2, mid_stride=1.0)
    at = np.r_[many.frame]
    assert (at > 0).any()
    _, reward, failed, _ = many.step(many.last_action.copy())
    assert (reward > 3.0).all()
    assert not failed.any()
    many.qpos[0, 2] -= 0.4
    reward, failed = many._judge()
    assert failed.tolist() == [True, False]
    assert reward[0] < 0.0


def test_a_robot_that_fell_begins_another_episode():
    many = robots()
    rng = np.random.default_rng(0)
    for _ in range(120):
        *_, failed, _ = many.step(3.0 * rng.normal(size=(1, 29)))
        if failed[0]:
            break
    assert failed[0]
    many.restart(failed)
    assert many.frame[0] == 0
    assert many.qpos[0, 2] == pytest.approx(STANDING_HEIGHT)


def test_the_odometry_errs_by_a_few_hundredths_and_the_teacher_does_not_see_it():
    many = robots(8, DomainRandomization())
    clean = many.clean_now()
    many.wander[:] = 0.3
    np.testing.assert_array_equal(many.clean_now(), clean)
    seen = many.observe()[:, 1432:1434]
    assert np.abs(seen).max() > 0.2


def test_a_student_that_grew_does_what_it_did():
    torch.manual_seed(0)
    old = Student()
    old.mean.normal_()
    new = widened(old, OBSERVATION_WIDTH, (768, 384, 192))
    x = torch.randn(5, OBSERVATION_WIDTH)
    torch.testing.assert_close(new(x), old(x[:, : len(old.mean)]), atol=1e-5, rtol=1e-4)


def written(folder):
    folder.mkdir(exist_ok=True)
    walk_ahead(0.5, 3).save(folder / "walk_0_0.npz")
    standing_motion(2.0).save(folder / "crouch_0_1.npz")
    return sorted(folder.glob("*.npz"))


def test_training_goes_on_where_it_stopped(tmp_path):
    paths = written(tmp_path / "data")
    teachers = [FOLDER / "exoactor.onnx"]
    known = screen(teachers, paths, LAYOUT, tmp_path / "t.json", threads=1)
    assert known == {"walk_0_0.npz": 0, "crouch_0_1.npz": 0}
    table = json.loads((tmp_path / "t.json").read_text())
    assert {tuple(key.split(" ")[::3]) for key in table} == {(n, r) for n in known for r in ("nominal", "disturbed")}
    first = Trainer(teachers, LAYOUT, Clips(paths, known), tmp_path / "run", settings=TINY, threads=1)
    first.run(48)
    again = Trainer(teachers, LAYOUT, Clips(paths, known), tmp_path / "run", settings=TINY, threads=1)
    assert again.samples == first.samples == 48
    for a, b in zip(again._actor.parameters(), first._actor.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    again.run(72)
    assert again.samples == 72
    assert len((tmp_path / "run" / "log.csv").read_text().splitlines()) == 4
    policy = Policy.load(tmp_path / "run" / "exoactor.onnx")
    assert policy.name == "anchored"
    tracker = TrajectoryTracker(policy, 3.0, 3.0)
    assert (tracker.heading_gain, tracker.position_gain) == (0.0, 0.0)  # it sees its place itself
    assert "walk_0_0.npz" in trained_on(tmp_path / "run" / "exoactor.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "run" / "exoactor.onnx"))
    assert session.get_inputs()[0].shape[1] == OBSERVATION_WIDTH


def test_once_rewards_count_the_policy_changes_slowly_also_after_a_resume(tmp_path):
    paths, known = written(tmp_path / "data"), {"walk_0_0.npz": 0}
    for imitation_samples, samples in ((1e9, 24), (0.0, 48)):
        settings = replace(TINY, imitation_samples=imitation_samples)
        training = Trainer([FOLDER / "exoactor.onnx"], LAYOUT, Clips(paths, known), tmp_path, 0, settings, 1)
        training.run(samples)
    assert training._adam.param_groups[0]["lr"] < 0.2 * TINY.learning_rate


@pytest.mark.slow  # Warp compiles its kernels
def test_training_goes_on_with_the_physics_of_a_gpu(tmp_path):
    pytest.importorskip("mujoco_warp", reason="MuJoCo Warp is not installed: make extras")
    paths = written(tmp_path / "data")
    teachers, known = [FOLDER / "exoactor.onnx"], dict.fromkeys((path.name for path in paths), 0)
    for settings, samples in ((TINY, 24), (replace(TINY, physics="cpu"), 72)):
        training = Trainer(teachers, LAYOUT, Clips(paths, known), tmp_path, settings=settings, threads=1)
        training.run(samples)
    assert training.samples == 72
    assert np.isfinite(np.genfromtxt(tmp_path / "log.csv", delimiter=",", skip_header=1)).all()


def test_a_gpu_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    clips = Clips(written(tmp_path / "data"), {})
    with pytest.raises(Missing, match="no NVIDIA GPU"):
        Trainer([FOLDER / "exoactor.onnx"], LAYOUT, clips, tmp_path, settings=replace(TINY, device="cuda"))


def test_clips_that_other_processes_draw_are_those_of_the_training(tmp_path):
    clips = Clips(written(tmp_path / "data"), {"walk_0_0.npz": 0})
    queue = ClipQueue(clips, np.random.default_rng(0), 1, 8)
    drawn = [queue.draw() for _ in range(8)]
    queue.close()
    rng = np.random.default_rng(0)
    for clip in drawn:
        k, seed = clips.choose(rng), int(rng.integers(2**63))
        np.testing.assert_array_equal(clip.episode.mimic, clips.make(k, np.random.default_rng(seed)).episode.mimic)
        assert clip.teacher == (clips.teacher[k] if k >= 0 else 0)
    assert len({clip.motion for clip in drawn}) > 1


def test_a_motion_is_imitated_from_the_last_teacher_that_does_it(tmp_path):
    falls = Student.from_onnx(FOLDER / "exoactor.onnx")
    with torch.no_grad():
        falls.net[-1].bias[:6] += 2.0
    onnx.save(to_onnx(falls), str(tmp_path / "falls.onnx"))
    paths, ours = written(tmp_path / "data"), FOLDER / "exoactor.onnx"
    known = [
        screen(teachers, paths, LAYOUT, tmp_path / "t.json", threads=1)
        for teachers in ([ours, tmp_path / "falls.onnx"], [tmp_path / "falls.onnx", ours], [tmp_path / "falls.onnx"])
    ]
    assert [set(which.values()) for which in known] == [{0}, {1}, {-1}]


def test_screening_goes_on_where_it_stopped_but_for_what_was_made_anew(tmp_path, monkeypatch):
    tried = []

    def track(act, clips, *_):
        tried.append(len(clips))
        yield Outcome(0, True, 2.0, 0.0, 0.0)
        if len(tried) == 1:
            raise Cancelled
        yield from (Outcome(k, True, 2.0, 0.0, 0.0) for k in range(1, len(clips)))

    monkeypatch.setattr(teachers, "track_each", track)
    paths = written(tmp_path / "data")
    arguments = [FOLDER / "exoactor.onnx"], paths, LAYOUT, tmp_path / "t.json", 1
    with pytest.raises(Cancelled):
        screen(*arguments)
    for _ in range(2):
        assert screen(*arguments) == {path.name: 0 for path in paths}
    assert tried == [2, 1, 2]  # the rest on the nominal robot, then both on the disturbed one
    standing_motion(3.0).save(paths[0])
    screen(*arguments)
    assert tried[3:] == [1, 1]


def test_more_clips_than_robots_are_tracked_once_each():
    clips = [clip(), Clip.of(Episode.of_motion(standing_motion(2.0)), 0, 0), clip()]
    run = load_teacher(FOLDER / "exoactor.onnx", 1)
    outcomes = list(track_each(as_teacher(run), clips, LAYOUT, NOMINAL, 1, robots=2))
    assert sorted(outcome.clip for outcome in outcomes) == [0, 1, 2]
    assert all(outcome.success and outcome.reward > 3.0 for outcome in outcomes)
    by_clip = {outcome.clip: outcome for outcome in outcomes}
    assert by_clip[0].reward == pytest.approx(by_clip[2].reward, abs=0.1)
    assert by_clip[1].position_error < 0.05
    still = list(track_each(lambda robots: np.zeros((robots.count, 29)), clips[:1], LAYOUT, NOMINAL, 1))
    assert not still[0].success
    assert still[0].reward < 2.0


def test_the_best_network_by_validation_is_exported(tmp_path, monkeypatch):
    paths, known = written(tmp_path / "data"), {"walk_0_0.npz": 0}
    scores = iter([9.0, 1.0, 2.0, 1.5])  # of the teacher, of the student as it begins, on its way and in the end
    monkeypatch.setattr(Validation, "measure", lambda *_: next(scores))
    exported = []
    monkeypatch.setattr(Trainer, "_export", lambda trainer: exported.append(trainer.samples))
    validation = Validation(paths, LAYOUT, tmp_path / "validation.csv", 1)
    settings = replace(TINY, validate_every=40)
    Trainer([FOLDER / "exoactor.onnx"], LAYOUT, Clips(paths, known), tmp_path, 0, settings, 1, validation).run(72)
    assert exported == [0, 48]
    assert next(scores, None) is None


def test_a_validation_judges_the_nominal_robot_and_disturbed_ones(tmp_path):
    validation = Validation(written(tmp_path / "data"), LAYOUT, tmp_path / "validation.csv", 1)
    ours = as_teacher(load_teacher(FOLDER / "exoactor.onnx", 1))
    scores = [validation.measure(name, 7, act) for name, act in (("ours", ours), ("none", lambda r: 0.0 * ours(r)))]
    assert scores[0] > scores[1]
    rows = list(csv.DictReader((tmp_path / "validation.csv").open()))
    assert [row["tracker"] for row in rows] == ["ours", "none"]
    assert [float(row["nominal_success"]) for row in rows] == [1.0, 0.0]
    assert float(rows[0]["score"]) == pytest.approx(scores[0], rel=1e-3)


def test_hands_hold_what_weighs_up_to_2_kg_at_their_middle():
    many = robots(40, DomainRandomization())
    bodies = [many._base.body(link).id for link in HAND_LINKS.values()]
    ahead = np.array([model.body_ipos[bodies, 0] for model in many._models])
    held = np.array([model.body_mass[bodies] for model in many._models]) - many._base.body_mass[bodies]
    loaded = ahead > many._base.body_ipos[bodies, 0]
    assert 0.2 < loaded.any(axis=1).mean() < 0.6
    assert loaded.all(axis=1).any()
    assert (held[loaded] > -0.03).all()
    assert 1.0 < held.max() < 2.1
    assert np.abs(held[~loaded]).max() < 0.04  # as masses differ
    assert (ahead < HAND_POINT[0]).all()


def test_a_motion_that_no_teacher_does_is_not_imitated(tmp_path):
    still = standing_motion(2.0)
    pos = still.root_pos + np.outer(np.maximum(0.0, 0.6 - 4.9 * (np.arange(101) / 50 - 1.0) ** 2), [0, 0, 1])
    RobotMotion(50, pos, still.root_quat_wxyz, still.joint_pos).save(tmp_path / "jump_0_0.npz")
    known = screen([FOLDER / "exoactor.onnx"], [tmp_path / "jump_0_0.npz"], LAYOUT, tmp_path / "t.json", threads=1)
    assert known == {"jump_0_0.npz": -1}


def test_jumps_are_imitated_from_our_tracker_whose_take_offs_are_corrected(tmp_path):
    whole_body("jump", np.random.default_rng(7), 1.0).save(tmp_path / "jump_0_0.npz")
    standing_motion(2.0).save(tmp_path / "still.npz")
    clips = Clips(sorted(tmp_path.glob("*.npz")), {"jump_0_0.npz": 1, "still.npz": 1})
    assert clips.jumps.tolist() == [True, False]
    assert clips.teacher.tolist() == [0, 1]
    assert clips.make(1, np.random.default_rng(0)).correction is None
    jump = Clip.of(Episode.of_motion(prepare(RobotMotion.load(tmp_path / "jump_0_0.npz")).motion), 0, 0, jumps=True)
    many = AnchoredRobots(1, lambda _: jump, LAYOUT, NOMINAL, 0, 1, np.zeros((1, 29)), 0.0)
    many.frame[:] = int(np.abs(jump.correction).sum(axis=1).argmax())
    corrected = many.clean_now()[0, :35] - many.observe()[0, :35]  # the student sees the motion as it is
    knees = 6 + np.array([3, 9])
    np.testing.assert_allclose(corrected[knees], jump.correction[many.frame[0], knees], atol=1e-5)
    assert np.abs(corrected[knees]).min() > 0.1


@pytest.mark.parametrize("family", FAMILIES)
def test_random_references_are_fit_to_be_tracked(family):
    motion = whole_body(family, np.random.default_rng(3), 5.0)
    same = whole_body(family, np.random.default_rng(3), 5.0)
    np.testing.assert_array_equal(motion.joint_pos, same.joint_pos)
    assert not self_collision_depth(motion)[0].any()
    assert sole_points(motion)[..., 2].min() > -0.04  # the legs reach for the feet
    reference = prepare(motion)
    lowest = sole_points(reference.motion)[..., 2].min(axis=(1, 2))
    assert np.percentile(np.abs(lowest), 60) < 0.03
    assert (flight(reference.motion).max() > 0.08) == (family == "jump") or family in ("hop", "mixed")


def test_hours_are_made_once_and_alike(tmp_path):
    made = make_hours(0.01, tmp_path / "a", seed=5, workers=1)
    times = [path.stat().st_mtime_ns for path in made]
    assert make_hours(0.01, tmp_path / "a", seed=5, workers=1) == made
    assert [path.stat().st_mtime_ns for path in made] == times
    assert sum(RobotMotion.load(path).duration for path in made) >= 36.0
    last = made[-1]
    again = RobotMotion.load(last)
    last.unlink()
    make_hours(0.01, tmp_path / "a", seed=5, workers=1)
    np.testing.assert_array_equal(RobotMotion.load(last).joint_pos, again.joint_pos)
    with pytest.raises(BadInput):
        make_hours(0.0, tmp_path)


def test_the_split_keeps_families_apart():
    made = {f"{family_of(seed, k)}_{seed}_{k}.npz" for seed in (0, 1) for k in range(200)}
    parts = {name: part_of(name) for name in made}
    assert None not in parts.values()
    by_part = {part: {name.split("_")[0] for name, p in parts.items() if p == part} for part in set(parts.values())}
    assert set(by_part) == {"training", "validation", "test"}
    assert not by_part["training"] & by_part["validation"]
    assert not by_part["training"] & by_part["test"]
    assert (part_of("dm_walk.npz"), part_of("dm_kick.npz"), part_of("else.npz")) == ("training", "test", None)
    assert was_trained_on(FOLDER / "exoactor.onnx", "asap_CR7_level1.npz") is True
    assert was_trained_on(FOLDER / "exoactor.onnx", "dm_kick.npz") is False
    assert was_trained_on(FOLDER / "unknown.onnx", "dm_kick.npz") is None
