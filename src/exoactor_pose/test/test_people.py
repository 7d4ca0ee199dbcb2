"""Several people, cuts, people who leave, and videos that show no whole, upright person."""

import cv2
import numpy as np
import pytest

from exoactor_core.errors import BadInput
from exoactor_core.stages import GenerateRequest, load_backend
from exoactor_core.video import Video
from exoactor_pose.detection.detectors import MediapipeDetector, Pose
from exoactor_pose.detection.landmarks import Landmarks
from exoactor_pose.detection.people import Follower, Person, bhattacharyya, colour_histogram
from exoactor_pose.detection.people_tracks import Sightings
from exoactor_pose.video import landmark_tracking
from exoactor_pose.video.cuts import CERTAIN_CUT, POSSIBLE_CUT, CutFinder, find_stretches
from exoactor_pose.video.landmark_tracking import _follows_most_prominent
from exoactor_pose.video.landmark_tracking import detect as detect_all
from exoactor_pose.video.person_tracker import Tracker

FPS = 15.0
RED, BLUE, GREY = (200, 40, 40), (40, 40, 200), (128, 128, 128)


# --- who is followed ---


def scene(*people):
    """An image of people, each (x, size, colour): a coloured body in a grey room; and what a detector finds in it."""
    image = np.full((240, 480, 3), GREY, np.uint8)
    found = []
    for x, size, colour in people:
        half = int(0.25 * size)
        image[max(0, 120 - half) : 120 + half, max(0, int(x - size / 8)) : int(x + size / 8)] = colour
        found.append(Person(np.array([x, 120.0]), float(size)))
    return image, found


def test_the_largest_is_chosen_and_any_by_number():
    image, people = scene((100, 100, RED), (240, 60, BLUE), (400, 160, BLUE))
    assert Follower().find(image, people, 0.0) is people[2]
    assert Follower("0").find(image, people[::-1], 0.0).centre[0] == 100
    assert Follower("1").find(image, people[::-1], 0.0).centre[0] == 240
    assert Follower("3").find(image, people, 0.0) is None
    for wrong in ("left", "-1", "1.5", ""):
        with pytest.raises(BadInput, match="0 for the person farthest left"):
            Follower(wrong)


def test_of_equal_people_the_most_central_is_followed_and_it_is_said():
    image, people = scene((60, 100, RED), (200, 95, BLUE), (430, 100, RED))
    follower = Follower()
    assert follower.find(image, people, 1.5) is people[1]
    (note,) = follower.notes
    assert "3 people of about equal size are in the image at 1.5 s: number 1 from the left" in note


def test_somebody_larger_who_comes_later_is_told_once():
    follower = Follower()
    small, large = (100, 60, RED), (300, 120, BLUE)
    assert follow(follower, [(small,), (small,), (small, large), (small, large)]) == [100] * 4
    (note,) = follower.notes
    assert "much larger than the person followed is in the image at 0.2 s" in note


def test_colours_tell_people_apart():
    image, (red, blue) = scene((100, 100, RED), (300, 100, BLUE))
    a, b = colour_histogram(image, red), colour_histogram(image, blue)
    assert a.sum() == pytest.approx(1.0)
    assert bhattacharyya(a, a) == pytest.approx(1.0)
    assert bhattacharyya(a, b) < 0.3
    outside = Person(np.array([-50.0, 360.0]), 80.0)
    assert np.isfinite(colour_histogram(image, outside)).all()


def follow(follower, frames, fps=10.0):
    """What the follower finds in each frame, as a detector without tracking uses it."""
    xs = []
    for k, frame in enumerate(frames):
        image, people = scene(*frame)
        follower.observe(people, k / fps)
        person = follower.find(image, people, k / fps)
        if person is not None:
            follower.update(image, person, k / fps)
        xs.append(None if person is None else person.centre[0])
    return xs


def test_the_same_person_is_followed_through_a_crossing():
    """Red walks right, blue left; where they meet only blue is seen. Places alone would go on with blue."""
    frames = []
    for k in range(31):
        red, blue = (100 + 8 * k, 100, RED), (340 - 8 * k, 100, BLUE)
        frames.append((blue,) if 12 <= k <= 18 else (red, blue))
    xs = follow(Follower("0"), frames)
    assert [x for x in xs if x is not None] == [100 + 8 * k for k in range(31) if not 12 <= k <= 18]


def test_another_person_is_not_taken_for_one_who_left():
    frames = [((100 + 10 * k, 100, RED), (400, 100, BLUE)) for k in range(12)]
    frames += [((400, 100, BLUE),)] * 15 + [((300, 100, RED), (400, 100, BLUE))] * 2
    xs = follow(Follower("0"), frames)
    assert xs[:12] == [100 + 10 * k for k in range(12)]
    assert xs[12:27] == [None] * 15
    assert xs[27:] == [300, 300]


def sightings(*people, seconds=8.0):
    """Sightings of people, each (from s, to s, x px at both ends, height px), the first of whom is followed."""
    made = Sightings(1280, 720)
    colours = ([0.9, 0.1, 0.0], [0.0, 0.1, 0.9])
    for time in np.arange(0.0, seconds, 0.5):
        seen = []
        for k, (start, stop, x, height) in enumerate(people):
            if start <= time <= stop:
                image = np.ones((33, 3))
                image[:, 0] = np.interp(time, [start, stop], x)
                image[:, 1] = 360 + np.linspace(-height / 2, height / 2, 33)
                seen.append((image, np.array(colours[k]), k == 0))
        made.add(time, 0, seen)
    return made


@pytest.mark.parametrize(
    ("followed", "other", "better"),
    [
        ((0, 5, (600, 640), 350), (2.5, 6, (1200, 300), 390), True),  # stands about while the other walks through
        ((0, 8, (600, 640), 350), (0, 8, (200, 200), 500), True),  # is smaller
        ((0, 1.5, (600, 640), 350), (0, 8, (200, 200), 350), True),  # is there for a moment only
        ((0, 8, (600, 640), 400), (2, 4, (1200, 300), 390), False),  # somebody passes by
        ((0, 8, (600, 640), 350), (0, 8, (200, 200), 380), False),  # about equal
        ((0, 8, (600, 640), 350), (0, 8, (20, 20), 100), False),  # small in the background
    ],
)
def test_the_most_prominent_of_the_whole_video_is_better(followed, other, better):
    made = sightings(followed, other)
    best = made.best(0)
    assert (best is made.tracks[0]) != better
    for time in np.arange(0.0, 8.0, 0.5):
        there = [np.interp(time, each[:2], each[2]) for each in (followed, other) if each[0] <= time <= each[1]]
        people = [Person(np.array([x + 20, 380.0]), 400.0) for x in there]
        chosen = made.most_prominent(people, 0, time)
        wanted = other if better else followed
        expected = [np.interp(time, wanted[:2], wanted[2]) + 20] if wanted[0] <= time <= wanted[1] else []
        assert [p.centre[0] for p in chosen] == expected
    assert made.most_prominent(people, 1, 9.0) == people


def test_a_sighting_of_something_else_at_the_end_is_no_movement():
    made = Sightings(1280, 720)
    for time, x in zip(np.arange(0.0, 4.0, 0.5), [600, 610, 600, 590, 600, 610, 605, 950], strict=True):
        image = np.ones((33, 3))
        image[:, 0], image[:, 1] = x, 360 + np.linspace(-200, 200, 33)
        made.add(time, 0, [(image, np.ones(3) / 3, True)])
    (track,) = made.tracks
    assert track.prominence == pytest.approx(400 * 4.0, rel=0.1)


def test_who_is_followed_is_compared_with_the_most_prominent():
    """Whom single images would have followed does not count: the tracker may be on somebody else."""
    made = sightings((0, 8, (600, 640), 350), (0, 8, (200, 200), 500))
    image = np.zeros((720, 1280, 3), np.uint8)
    follower = Follower()
    assert _follows_most_prominent(follower, made)  # nobody yet
    for x, most_prominent in ((610.0, False), (210.0, True)):
        follower.update(image, Person(np.array([x, 360.0]), 400.0), 2.0)
        assert _follows_most_prominent(follower, made) == most_prominent


def test_who_was_followed_for_a_moment_only_is_not_the_one_followed():
    made = Sightings(1280, 720)
    for time in np.arange(0.0, 5.0, 0.5):
        image = np.ones((33, 3))
        image[:, 1] = 360 + np.linspace(-200, 200, 33)
        made.add(time, 0, [(image, np.ones(3) / 3, time > 3.0)])
    assert [track.followed for track in made.tracks] == [False]


@pytest.mark.parametrize(("again", "x", "same"), [(7.0, 360, True), (7.0, 600, False), (3.0, 360, False)])
def test_the_person_followed_is_the_same_after_a_gap_but_not_elsewhere_or_beside_itself(again, x, same):
    """Somebody followed is not seen for a while and is then more prominent; or the survey hopped to somebody else."""
    made = Sightings(1280, 720)
    for time in np.arange(0.0, 14.0, 0.5):
        seen = []
        for k, (start, stop, height) in enumerate(((0.0, 4.0, 350), (again, 14.0, 500))):
            if start <= time <= stop:
                image = np.ones((33, 3))
                image[:, 0], image[:, 1] = [200, x][k], 360 + np.linspace(-height / 2, height / 2, 33)
                seen.append((image, np.array([[0.9, 0.1], [0.1, 0.9]][k]), k == 1 or time < again))
        made.add(time, 0, sorted(seen, key=lambda each: not each[2]))
    assert [track.followed for track in made.tracks] == [True, True]
    person = Person(np.array([200.0, 360.0]), 400.0)
    assert (made.most_prominent([person], 0, 2.0) == [person]) == same


def test_times_that_are_left_out_are_told_in_one_sentence():
    tracker = Tracker(None, 10.0)
    tracker.poses = [None] * 40
    for start, stop in ((10, 12), (12, 15), (30, 32)):
        tracker._leave_out(start, stop)
    (note,) = tracker.notes
    assert "from 1.0 s to 1.5 s, 3.0 s to 3.2 s: " in note


def test_only_a_certain_cut_begins_another_shot(clips):
    class Blind:
        batch = 1

        def find_people(self, frames):
            return [[] for _ in frames]

    shots = []
    for change in (POSSIBLE_CUT, CERTAIN_CUT):
        tracker = Tracker(Blind(), FPS)
        tracker._cuts = lambda frame, change=change: change
        tracker([clips[0][0]])
        tracker.close()
        shots.append(tracker.follower.shot)
    assert shots == [0, 1]


# --- where a video breaks ---


def walk(frames, x=100.0, speed=1.0):
    """Landmarks of a person of size 100 px who stands upright and moves to the right, in an image of 640x480."""
    image = np.ones((frames, 33, 3))
    spread = np.random.default_rng(0).normal(size=(33, 2)) * [10, 25]
    spread[23:25] = 0
    image[..., :2] = spread + [0, 240] + np.stack([x + speed * np.arange(frames), np.zeros(frames)], 1)[:, None]
    return image


def shots(image, found=None, changed=(), fps=30.0):
    count = len(image)
    found = np.ones(count, bool) if found is None else found
    flags = np.isin(np.arange(count), changed)
    return find_stretches(Landmarks(fps, 640, 480, image, None, found), np.full(count, 100.0), flags)


def test_a_video_without_breaks_is_used_whole():
    whole = shots(walk(90))
    assert (whole.stretches, whole.notes) == (((0, 90),), ())
    assert whole.found.all()


def test_a_cut_ends_a_stretch():
    image = np.concatenate([walk(40), walk(60, x=400), walk(45, x=50)])
    used = shots(image, changed=[40, 100])
    assert used.stretches == ((0, 40), (40, 100), (100, 145))
    assert used.notes == ("The video is cut at 1.3 s, 3.3 s.",)


def test_a_jump_of_the_person_is_a_cut():
    """Two takes of the same scene: the image hardly changes, but nobody moves 40 cm between two frames."""
    used = shots(np.concatenate([walk(40), walk(60, x=165)]))
    assert used.stretches == ((0, 40), (40, 100))
    assert used.notes[0].startswith("The person is suddenly somewhere else at 1.3 s: ")
    run = walk(60, speed=16.0)  # 8 m/s
    assert shots(run).notes == ()


def test_too_many_cuts_are_refused_with_their_times():
    image = np.concatenate([walk(20), walk(25, x=400), walk(20)])
    with pytest.raises(BadInput, match=r"cut at 0.7 s, 1.5 s. The longest stretch .* lasts 0.8 s, but 1 s are needed"):
        shots(image, changed=[20, 45])


def test_light_that_changes_is_no_cut():
    assert shots(walk(60), changed=[30]).notes == ()


def test_a_slip_of_the_detector_is_no_cut():
    image = walk(60)
    image[30:32, :, 0] += 300
    used = shots(image)
    assert used.notes == ()
    assert np.flatnonzero(~used.found).tolist() == [30, 31]


def test_a_slip_whose_size_differs_on_the_way_back_is_no_cut():
    image, sizes = walk(60, speed=0.0), np.full(60, 200.0)
    image[30, :, 0] += 33
    sizes[31] = 240.0  # in its own size, the way back is shorter than what counts as a jump
    used = find_stretches(Landmarks(30.0, 640, 480, image, None, np.ones(60, bool)), sizes, np.zeros(60, int))
    assert (used.stretches, used.notes) == (((0, 60),), ())
    assert np.flatnonzero(~used.found).tolist() == [30]


def test_two_slips_to_different_places_are_no_cut():
    image = walk(60)
    image[30, :, 0] += 300
    image[31, :, 0] -= 200
    used = shots(image)
    assert used.notes == ()
    assert np.flatnonzero(~used.found).tolist() == [30, 31]


def test_empty_stretches_are_told_and_long_ones_not_bridged():
    image, found = walk(150), np.ones(150, bool)
    found[60:72] = False
    used = shots(image, found)
    assert (used.stretches, used.notes) == (((0, 150),), ("The person is not seen from 2.0 s to 2.4 s.",))
    found[60:95] = False
    used = shots(image, found)
    assert used.stretches == ((0, 60), (95, 150))
    assert used.notes[0] == "The person is not seen from 2.0 s to 3.2 s."


def test_frames_at_the_ends_in_which_nobody_is_seen_are_no_motion():
    found = np.ones(90, bool)
    found[:6] = found[80:] = False
    assert shots(walk(90), found).stretches == ((6, 80),)


@pytest.mark.parametrize(("back", "words"), [(True, "and is back at 2.5 s"), (False, "and does not come back")])
def test_leaving_the_image_is_reported(back, words):
    image, found = walk(90, x=600, speed=0.7), np.ones(90, bool)
    found[60 : 75 if back else 90] = False
    assert f"leaves the image at the right at 2.0 s {words}" in shots(image, found).notes[0]


def room(shift=0, seed=0):
    """An image of a room with much in it, moved sideways as by a camera that pans."""
    rng = np.random.default_rng(seed)
    wide = cv2.resize(rng.integers(0, 255, (12, 40, 3)).astype(np.uint8), (1600, 240), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(wide[:, 100 + shift : 420 + shift])


def test_cuts_in_images():
    moving, pan = CutFinder(), CutFinder()
    assert not any(moving(cv2.circle(room(), (100 + 5 * k, 120), 30, RED, -1)) for k in range(20))
    assert not any(pan(room(12 * k)) for k in range(30))
    found = CutFinder()
    assert [k for k, seed in enumerate([0] * 5 + [1] * 5 + [2] * 5) if found(room(seed=seed))] == [5, 10]


def test_cuts_in_large_grainy_images():
    rng, found = np.random.default_rng(0), CutFinder()
    large = [cv2.resize(room(seed=seed), None, fx=6, fy=6) for seed in (0, 1)]
    grain = rng.integers(0, 60, (*large[0].shape, 4), dtype=np.uint8)
    told = [
        found(cv2.add(large[seed], np.ascontiguousarray(grain[..., k % 4]))) for k, seed in enumerate([0] * 4 + [1] * 4)
    ]
    assert told == [0, 0, 0, 0, CERTAIN_CUT, 0, 0, 0]


def test_light_and_flashes_are_told_from_another_scene():
    found = CutFinder()
    warm = (room() * [0.9, 0.5, 0.3]).astype(np.uint8)
    told = [found(image) for image in (room(), warm, warm, np.full_like(warm, 255), warm, warm, room(seed=1))]
    assert told == [0, POSSIBLE_CUT, 0, POSSIBLE_CUT, 0, 0, CERTAIN_CUT]


def test_another_scene_is_a_cut_though_the_person_goes_on():
    """As between two videos of the same motion, which the generator made with two seeds."""
    changed = np.zeros(60, int)
    changed[30] = CERTAIN_CUT
    used = find_stretches(Landmarks(30.0, 640, 480, walk(60), None, np.ones(60, bool)), np.full(60, 100.0), changed)
    assert used.cuts == (30,)


# --- the whole way, with MediaPipe ---


def detect(*args, **options):
    """The longest stretch."""
    return max(detect_all(*args, **options), key=len)


@pytest.fixture(scope="module")
def clips():
    """Frames of two mannequins, 320 px square, 2 s each."""
    pytest.importorskip("mediapipe")
    pytest.importorskip("exoactor_gen.mannequin.mannequin", reason="the generator is not installed")
    made = []
    for seed, task in ((3, "wave with your right hand"), (8, "walk forward one metre")):
        video = load_backend("generate", "mannequin", seed=seed, fps=15, width=320, height=320)(
            GenerateRequest(task)
        ).video
        made.append(np.array([frame for frame, _ in zip(video.frames(), range(30), strict=False)]))
    return made


@pytest.fixture(scope="module")
def detector():
    pytest.importorskip("mediapipe")
    made = MediapipeDetector()
    yield made
    made.close()


def hips(seen):
    return seen.image[:, 23:25, 0].mean(axis=1)


@pytest.fixture
def trackers(monkeypatch):
    """Those that were shown a video, in order."""
    made = []
    monkeypatch.setattr(landmark_tracking, "Tracker", lambda *given: made.append(Tracker(*given)) or made[-1])
    return made


def test_two_people_of_equal_size(clips, detector, trackers):
    video = Video.from_frames(np.concatenate(clips, axis=2), FPS)
    seen = detect(video, detector)
    assert seen.found.all()
    assert len(trackers) == 1, "who is followed already is followed on"
    assert "2 people of about equal size" in seen.notes[0]
    assert np.ptp(hips(seen) // 320) == 0  # one of them, all the time
    left, right = detect(video, detector, person="0"), detect(video, detector, person="1")
    assert hips(left).max() < 320 < hips(right).min()
    assert left.notes == right.notes == ()
    with pytest.raises(BadInput, match="person is 4, counted from 0, but at most 2 people are"):
        detect(video, detector, person="4")


def test_somebody_more_prominent_is_followed_instead_of_who_is_there_first(clips, detector, trackers):
    """A small person waves all the time; after a second a large one comes: then it is asked who is in the video."""
    small = np.pad([cv2.resize(f, (160, 160)) for f in clips[0]], ((0, 0), (160, 0), (0, 0), (0, 0)), mode="edge")
    large = clips[1].copy()
    large[:15] = clips[1][:1, :, :60].mean(axis=2, keepdims=True).astype(np.uint8)
    frames = np.concatenate([small, large], axis=2)
    frames = np.concatenate([frames[:15], *[frames[15:]] * 3])
    seen = detect(Video.from_frames(frames, FPS), detector)
    assert seen.start >= 14
    assert hips(seen)[seen.found].min() > 160
    assert "Several people are in the video: the one followed is the largest" in seen.notes[0]
    assert [len(tracker.poses) == len(frames) for tracker in trackers] == [False, True]
    chosen = detect(Video.from_frames(frames, FPS), detector, person="0")
    assert (chosen.start, hips(chosen).max() < 160) == (0, True)
    assert len(trackers) == 3


def test_a_person_behind_another_is_left_out_and_found_again(clips, detector):
    """A strip of the other clip slides over the waving person and away again."""
    frames = np.concatenate([clips[0], clips[0][:, :, -1:].repeat(320, axis=2)], axis=2)
    frames = np.concatenate([frames, frames])
    strip = clips[1][:, :, 90:230]
    for k, frame in enumerate(frames):
        x = int(np.interp(k, [0, 10, 24, 30, 44, 60], [480, 360, 150, 150, 360, 360]))
        frame[:, x : x + 140] = strip[k % 30]
    stretches = detect_all(Video.from_frames(frames, FPS), detector, person="0")
    assert any("Somebody else" in note for note in stretches[0].notes)
    assert all((abs(hips(seen)[seen.found] - 192) < 40).all() for seen in stretches)  # never on the other one
    assert 0.5 < sum(seen.found.sum() for seen in stretches) / len(frames) < 0.95


def test_a_cut_to_somebody_else(clips, detector):
    seen = detect(Video.from_frames(np.concatenate([clips[0][:16], clips[1]]), FPS), detector)
    assert (seen.start, len(seen)) == (16, 30)
    assert seen.notes[0] == "The video is cut at 1.1 s."


def test_turned_videos(clips, detector):
    down = Video.from_frames(clips[0][:10, ::-1, ::-1], FPS)
    with pytest.raises(BadInput, match=r"upside down .* turn the video by 180 degrees"):
        detect(down, detector)
    side = Video.from_frames(np.rot90(clips[0][:10], axes=(1, 2)), FPS)
    assert "turn the video by 90 degrees" in detect(side, detector).notes[-1]


@pytest.mark.parametrize(("turns", "words"), [(2, "180 degrees"), (1, "90 degrees to the right"), (3, "90 degrees to")])
def test_a_detector_that_finds_only_upright_people_is_shown_turned_images(turns, words):
    class Upright:
        """Somebody is where the upper edge is bright."""

        batch = 1

        def find_people(self, frames):
            person = Person(np.array([32.0, 32.0]), 60.0)
            return [[person] if frame[:8].mean() > 200 else [] for frame in frames]

        def find_landmarks(self, frames, people):
            raise AssertionError("nobody is there")

    image = np.zeros((64, 64, 3), np.uint8)
    image[:10] = 255
    turned = np.ascontiguousarray(np.rot90(image, turns))  # counter-clockwise
    with pytest.raises(BadInput, match=f"somebody is when it is turned by {words}"):
        detect(Video.from_frames([turned] * 4, FPS), Upright())


def test_a_video_turned_by_its_metadata_is_upright(clips, detector, tmp_path):
    import av

    path = tmp_path / "phone.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=15)
        stream.width, stream.height, stream.pix_fmt = 320, 320, "yuv420p"
        stream.set_display_rotation(90)
        for frame in clips[0][:8]:
            stored = np.ascontiguousarray(np.rot90(frame, -1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(stored, format="rgb24")))
        container.mux(stream.encode())
    turned, plain = detect(Video.load(path), detector), detect(Video.from_frames(clips[0][:8], FPS), detector)
    assert turned.notes == ()
    np.testing.assert_allclose(turned.image[..., :2], plain.image[..., :2], atol=8)


def test_half_a_person_is_refused(clips, detector):
    seen = detect(Video.from_frames(clips[0][:8], FPS), detector)
    head, hip = seen.image[:, 0, 1].min(), seen.image[:, 23, 1].mean()
    upper = [cv2.resize(frame[int(head) - 15 : int(hip) + 10], (480, 240)) for frame in clips[0][:8, :, 64:320]]
    with pytest.raises(BadInput, match=r"Only the upper half of the person is in the image in .* of the frames"):
        detect(Video.from_frames(upper, FPS), detector)


def test_a_gap_is_left_out(clips, detector):
    frames = clips[0].copy()
    frames[10:16, :, 120:260] = frames[10:16, :, :1]  # a curtain before the person
    seen = detect(Video.from_frames(frames, FPS), detector)
    assert not seen.found[11:15].any()
    assert seen.found[:10].all()
    assert seen.found[17:].all()
    assert (seen.image[~seen.found] == 0).all()
    assert "The person is not seen from 0.7 s" in seen.notes[0]


def test_a_small_person_is_told(clips, detector):
    small = [cv2.copyMakeBorder(cv2.resize(f, (96, 96)), 72, 72, 72, 72, cv2.BORDER_REPLICATE) for f in clips[0][:6]]
    assert "px tall: expect a coarse motion" in detect(Video.from_frames(small, FPS), detector).notes[-1]


def test_an_image_and_ten_minutes_are_refused(detector):
    image = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(BadInput, match="a single frame"):
        detect(Video.from_frames([image], 30), detector)
    with pytest.raises(BadInput, match="2 frames a second, too few"):
        detect(Video.from_frames([image] * 6, 2), detector)
    long = Video.from_frames((image for _ in range(1200)), 2)
    with pytest.raises(BadInput, match="lasts 600 s, but at most 120 s are read"):
        detect(long, detector)


class Scripted:
    """A detector that finds those whom ``people`` gives; on each, landmarks of the visibility that ``seen`` gives.

    None: none.
    """

    def __init__(self, batch, people, seen=lambda person: 1.0):
        self.batch, self.people, self.seen = batch, people, seen
        self.looks, self.placed = [], []

    def find_people(self, frames):
        self.looks.append(len(frames))
        return [self.people() for _ in frames]

    def find_landmarks(self, frames, people):
        self.placed.append(people)
        wide = np.linspace(0.0, 64.0, 99).reshape(33, 3)  # no room beside
        shares = [(person, self.seen(person)) for person in people]
        return [s and Pose(np.where([True, True, False], wide, s), person=person) for person, s in shares]


def test_a_thing_that_resembles_a_person_is_not_followed():
    """It is larger, and there first; no landmarks can be placed on it."""
    image = np.zeros((64, 64, 3), np.uint8)
    statue, visitor = Person(np.array([20.0, 32.0]), 60.0), Person(np.array([44.0, 32.0]), 40.0)
    detector = Scripted(
        2, lambda: [statue, visitor][: len(detector.looks)], lambda person: 1.0 if person is visitor else None
    )
    tracker = Tracker(detector, 20.0)
    for _ in range(3):
        tracker([image] * 2)
    tracker.close()
    assert [pose and pose.person for pose in tracker.poses[2:]] == [visitor] * 4


def test_others_are_looked_for_in_one_frame_of_a_batch_and_take_over_at_once(monkeypatch):
    image = np.zeros((64, 64, 3), np.uint8)
    followed, other = (Person(np.array([x, 32.0]), 60.0) for x in (20.0, 44.0))
    detector = Scripted(2, lambda: [followed, other])
    tracker = Tracker(detector, 20.0, "0")
    tracker([image] * 2)
    assert detector.looks == [2], "whoever is not followed yet may be in any frame"
    monkeypatch.setattr(tracker.follower, "better_match", lambda *_: other)
    for _ in range(3):
        tracker([image] * 2)
    tracker.close()
    assert detector.looks == [2, 1]
    assert detector.placed[-1] == [other, other]


def test_while_nobody_is_there_one_frame_of_a_batch_is_searched_and_who_comes_is_followed_backward():
    image = np.zeros((64, 64, 3), np.uint8)
    visitor = Person(np.array([32.0, 32.0]), 60.0)
    detector = Scripted(4, lambda: [visitor] if len(detector.looks) > 2 else [])
    tracker = Tracker(detector, 20.0)
    for _ in range(3):
        tracker([image] * 4)
    tracker.close()
    assert detector.looks == [4, 1, 1]
    assert all(pose is not None for pose in tracker.poses)


def test_only_what_follows_a_cut_in_a_batch_is_searched(monkeypatch):
    image = np.zeros((64, 64, 3), np.uint8)
    followed, other = (Person(np.array([x, 32.0]), 60.0) for x in (20.0, 44.0))
    detector = Scripted(4, lambda: [followed, other])
    tracker = Tracker(detector, 20.0, "0")
    tracker([image])
    monkeypatch.setattr(tracker.follower, "better_match", lambda *_: other)
    changed = iter([0, 0, 1, 0])
    monkeypatch.setattr(tracker, "_cuts", lambda _: next(changed))
    tracker([image] * 4)
    tracker.close()
    assert detector.looks == [1, 2]


def test_frames_are_not_piled_up(clips, detector):
    """Of a long video only a few frames are there at any time, also where the hands are slow."""
    import weakref

    alive = []

    class Long(Video):
        def frames(self, every=1):
            for k in range(60):
                frame = clips[0][k % 30].copy()
                alive.append(weakref.ref(frame))
                yield frame
                peak.append(sum(ref() is not None for ref in alive))

    peak = []
    base = Video.from_frames([clips[0][0]] * 60, FPS)
    long = Long(base.data, base.fps, base.width, base.height)

    def hands(frame, landmarks):
        return np.zeros((2, 21, 3)), np.ones((2, 21, 3))

    seen = detect(long, detector, hands=hands)
    assert len(seen) == 60
    assert seen.hands.shape == seen.hands_world.shape == (60, 2, 21, 3)
    assert (seen.hands_world == 1).all()
    assert max(peak) < 16


@pytest.mark.parametrize(("seen", "goes_there"), [(0.8, True), (0.45, False)])
def test_a_track_on_which_little_is_seen_goes_on_where_more_of_the_person_is(seen, goes_there):
    image = np.zeros((64, 64, 3), np.uint8)
    drifted, found = (Person(np.array([x, 32.0]), 60.0) for x in (20.0, 40.0))
    detector = Scripted(
        1, lambda: [found] if tracker.poses else [drifted], lambda person: seen if person is found else 0.4
    )
    tracker = Tracker(detector, 20.0, "0")
    for _ in range(2):
        tracker([image])
    tracker.close()
    assert tracker.poses[0].person is drifted
    assert (tracker.poses[1].person is found) == goes_there
