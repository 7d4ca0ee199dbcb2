"""Plan adherence: whether a person's motion shows the plan's actions, for example walking or raising an arm, in order.

The motion is divided into as many segments as the plan has actions, in order, such that as many actions as possible are
shown in their own segments (dynamic programming over the boundaries). Times have little weight: video models keep the
order of actions, but not their durations.

Each verb has a measure, which compares a few features with the expectation. Little is expected if joints show little:
for unknown verbs the body has to move, and for looks and nods it has to stay. The estimate is judged rather than the
video, since the robot will follow the estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from exoactor_core.motion import HumanMotion
from exoactor_gen.video_judge.expected_actions import UNCHECKED, ExpectedAction, read_plan
from exoactor_gen.video_judge.finding import Finding
from exoactor_gen.video_judge.measures import MEASURES, PASS_SCORE, measure
from exoactor_gen.video_judge.motion_features import FEATURE_RATE, MotionFeatures, measure_motion

MAX_CUTS = 40
"""Maximum number of parts between which the motion may be divided: for 10 s of video each lasts a quarter of a
second."""
DURATION_WEIGHT = 0.2
"""Loss of an action's score if its segment deviates from the planned duration by the length of the whole motion: this
only decides between divisions that show the same."""


def check_plan_adherence(motion: HumanMotion, plan: Mapping[str, Any]) -> list[Finding]:
    """Check an estimated motion against each action of the plan, in order.

    ``plan`` has ``actions``: mappings with verb, description, seconds, side, direction, distance (m), angle (degrees),
    count and objects, as far as the plan has them. Of unknown verbs, and where fields are missing or odd, little is
    expected. Returns a finding for each action, by its verb; none for those that a body does not show, such as 'begins'
    or 'relaxes'.
    """
    actions = read_plan(plan)
    if not actions:
        return []
    features = measure_motion(motion)
    cuts = align(features, actions)
    findings = []
    for k, (expected, (begin, end)) in enumerate(zip(actions, cuts, strict=True)):
        own, wide = features[begin : end + 1], _beside(features, actions, cuts, k)
        score, text = measure(own, expected)
        wider = {"travel": wide.distance > own.distance, "turn": abs(wide.turned) > abs(own.turned)}
        if wider.get(expected.kind):
            score, text = min((score, text), MEASURES[expected.kind](wide, expected))
        if expected.kind == "unspecified":
            continue
        passed = bool(score >= PASS_SCORE)
        wanted = "" if passed else f", but the plan is: {expected.text}"
        when = f"From {begin / FEATURE_RATE:.1f} to {end / FEATURE_RATE:.1f} s"
        unchecked = f"does '{expected.meanwhile}' at the same time" if expected.meanwhile else ""
        if expected.kind in UNCHECKED or expected.verbatim:
            unchecked = expected.text
        more = f"; whether the person {unchecked} was not checked" if unchecked and passed else ""
        said = f"{when} the person {text}{wanted}{more}."
        findings.append(Finding(expected.verb, round(float(score), 3), passed, said, unchecked))
    return findings


def align(features: MotionFeatures, actions: list[ExpectedAction]) -> list[tuple[int, int]]:
    """Divide the motion into one segment per action, in order: first and last sample of each, shared by neighbours."""
    at = np.unique(np.linspace(0, len(features) - 1, max(MAX_CUTS, len(actions)) + 1).round().astype(int))
    n = len(at)
    best, came = np.where(np.arange(n) == 0, 0.0, -np.inf), []
    for k, expected in enumerate(actions):
        total = np.full((n, n), -np.inf)  # from, to
        for i in np.flatnonzero(np.isfinite(best)):
            for j in range(i, n) if k < len(actions) - 1 else [n - 1]:
                score = measure(features[at[i] : at[j] + 1], expected)[0]
                # an action that is shown very well does not make up for a missing one
                total[i, j] = (
                    best[i]
                    + score
                    + (score >= PASS_SCORE)
                    - DURATION_WEIGHT * abs((at[j] - at[i]) / at[-1] - expected.share)
                )
        came.append(total.argmax(axis=0))
        best = total.max(axis=0)
    cuts, j = [], n - 1
    for back in reversed(came):
        cuts.append((int(at[back[j]]), int(at[j])))
        j = back[j]
    return cuts[::-1]


def _beside(
    features: MotionFeatures, actions: list[ExpectedAction], cuts: list[tuple[int, int]], k: int
) -> MotionFeatures:
    """A segment with its neighbours without expected walking or turning, in which parts of these may hide."""
    free = [a.may_travel if actions[k].kind == "travel" else a.may_turn for a in actions]
    first = last = k
    while first > 0 and not free[first - 1]:
        first -= 1
    while last < len(actions) - 1 and not free[last + 1]:
        last += 1
    return features[cuts[first][0] : cuts[last][1] + 1]
