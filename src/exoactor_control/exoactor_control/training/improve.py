"""Imitation where a teacher is right, and improvement beyond it: one loop, resumed where it stopped.

The student drives robots that are fed ``policies/anchored.yaml`` (`exoactor_control.training.anchored`). It is taught
by DAgger on the motions that one of the teachers does (`screen` finds out which), and rewarded on all of them:
proximal policy optimisation (J. Schulman and others, "Proximal policy optimization algorithms", 2017), with the
imitation loss beside it, which fades.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from exoactor_control.policy.spec import FOLDER, PolicySpec
from exoactor_control.reference.repair import LOW_FLIGHT, flight
from exoactor_control.reference.trajectory import POLICY_RATE, Trajectory
from exoactor_control.training.anchored import OBSERVATION_WIDTH, AnchoredRobots, Clip
from exoactor_control.training.environment import NOMINAL, Episode, Variation
from exoactor_control.training.references import load_prepared, mirror, varied
from exoactor_control.training.split import write_seen
from exoactor_control.training.student import JOINTS, TEACHER_FEEDBACK, Labelled, Student, load_teacher, to_onnx
from exoactor_core.errors import Missing
from exoactor_core.files import atomic_path, load_json, save_bytes, save_json
from exoactor_core.robot import STANDING
from exoactor_core.stages import Progress, no_progress

HIDDEN = (768, 384, 192)
_SEEN = ("asap_*", "kimodo_*", "task_*", "twist2_*")
"""By the tracker from which the student grows."""


Teacher = Callable[[np.ndarray], np.ndarray]
"""Observations (N, M) -> raw actions (N, 29)."""


@dataclass(frozen=True)
class Settings:
    """How the student learns."""

    device: str = "cpu"
    """Of PyTorch, where the networks are."""
    physics: str = ""
    """Device of MuJoCo Warp, which then steps the physics; empty: MuJoCo in threads."""
    robots: int = 192
    ticks: int = 24
    """Control steps of every robot between updates."""
    epochs: int = 3
    batches: int = 4
    """Into which what was seen between two updates is divided."""
    buffer: int = 150_000
    """Labelled samples kept for imitation, the newest."""
    rate: float = 2e-4
    """Of Adam; the actor's falls, once rewards count, to what keeps its change near `change`."""
    change: float = 0.01
    """Kullback-Leibler divergence of the policy by an update."""
    imitate_only: float = 1e7
    """Samples before rewards count: the critic is learning meanwhile. With 5,000 samples an update the gradient of the
    reward is mostly noise: the rate at which the policy changes by `change` is then 1/50 of imitation's."""
    fade: float = 2e7
    """Samples in which the weight of imitation then falls to 1/e, down to `least`."""
    least: float = 0.05
    discount: float = 0.98
    trace: float = 0.95
    """Lambda of the generalised advantage estimate."""
    clip: float = 0.15
    deviation: float = 0.12
    """Of the exploration, in the network's units, at the beginning."""
    average: float = 0.999
    """Of the weights' moving average, which is what is exported."""


ON_GPU = Settings(device="cuda", physics="cuda", robots=4096, batches=16, buffer=600_000)


def grown(old: Student, observation: int, hidden: Sequence[int]) -> Student:
    """Return a student with more inputs, which come last, and wider layers that does what the old one does."""
    new = Student(observation, hidden)
    n = len(old.mean)
    with torch.no_grad():
        new.mean[:n], new.std[:n] = old.mean, old.std
        for a, b in zip(old.net, new.net, strict=True):
            if not (isinstance(a, nn.Linear) and isinstance(b, nn.Linear)):
                continue
            rows, columns = a.weight.shape
            b.weight[:rows] = 0.0
            b.weight[:rows, :columns] = a.weight
            b.bias[:rows] = a.bias
    return new


class Clips:
    """Motions of the training set, those drawn the more often at which the student fails.

    Of ``paths``, robot motions, those that cannot be tracked are left out; ``left_out`` says by file name why.
    ``teachers`` has by file name the index of the teacher that does it, -1: none; see `screen`. Jumps are imitated from
    none.
    """

    def __init__(self, paths: Sequence[Path], teachers: dict[str, int]) -> None:
        self.source = paths, teachers
        motions, self.left_out = load_prepared(paths)
        self.names, self._motions = list(motions), list(motions.values())
        # The field's rule lets a teacher pass that stays on the floor in a low jump
        self.teacher = np.array(
            [-1 if flight(motion).max() > LOW_FLIGHT else teachers.get(name, -1) for name, motion in motions.items()]
        )
        self.failing = np.full(len(self.names), 0.5)
        """Share of the episodes of each motion that end in failure, lately."""

    def draw(self, rng: np.random.Generator) -> Clip:
        """Draw an episode: standing, a blend, a motion or a part of it, a blend, standing."""
        return self.make(self.choose(rng), rng)

    def choose(self, rng: np.random.Generator) -> int:
        """Draw the index of a motion; -1: only standing."""
        if rng.uniform() < 0.04:
            return -1
        weight = 0.15 + np.clip(self.failing, 0.0, 1.0)
        return int(rng.choice(len(weight), p=weight / weight.sum()))

    def make(self, k: int, rng: np.random.Generator) -> Clip:
        """Draw an episode of motion k."""
        if k < 0:
            still = Episode.from_trajectory(Trajectory.standing(STANDING, 1.0), int(rng.integers(100, 250)))
            return Clip.of(still, -1, 0)
        motion = self._motions[k]
        motion = varied(mirror(motion) if rng.uniform() < 0.5 else motion, self._motions, rng)
        blend = rng.uniform(0.6, 1.5)
        return Clip.of(Episode.of_motion(motion, blend, int(rng.integers(0, 25))), k, int(self.teacher[k]))

    def report(self, clip: Clip, failed: bool) -> None:
        """Take note of an episode's end."""
        if clip.motion >= 0:
            self.failing[clip.motion] += 0.1 * (failed - self.failing[clip.motion])


class ClipQueue:
    """Clips that other processes draw ahead: thousands of robots on a GPU take them faster than one process draws."""

    def __init__(self, clips: Clips, rng: np.random.Generator, processes: int, ahead: int) -> None:
        self._clips, self._rng = clips, rng
        context = multiprocessing.get_context("forkserver")
        self._pool = ProcessPoolExecutor(processes, context, _load_clips, clips.source)
        self._drawn = deque(self._next() for _ in range(ahead))

    def _next(self) -> Future[Clip]:
        return self._pool.submit(_make_clip, self._clips.choose(self._rng), int(self._rng.integers(2**63)))

    def draw(self) -> Clip:
        """Take the oldest, and have another one drawn."""
        self._drawn.append(self._next())
        return self._drawn.popleft().result()

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)


_clips: Clips
"""Of a process of `ClipQueue`."""


def _load_clips(paths: Sequence[Path], teachers: dict[str, int]) -> None:
    global _clips
    _clips = Clips(paths, teachers)


def _make_clip(k: int, seed: int) -> Clip:
    return _clips.make(k, np.random.default_rng(seed))


def screen(
    teachers: Sequence[Path],
    paths: Sequence[Path],
    spec: PolicySpec,
    table: Path,
    motions: int = 96,
    threads: int = 2,
    progress: Progress = no_progress,
) -> dict[str, int]:
    """Find the teacher that does each motion best, by the reward on the nominal robot and on a disturbed one.

    Returns
    -------
    File name -> index; -1: all fail on the nominal robot. Kept in ``table`` (JSON); motions that are in it are not
    tried again. So many ``motions`` are tried at once.
    """
    known = load_json(table) if table.exists() else {}
    runs = [load_teacher(teacher, threads) for teacher in teachers]
    feedback = teacher_feedback(teachers)
    for begin in range(0, len(paths), motions):
        wanted = [path for path in paths[begin : begin + motions] if path.name not in known]
        if wanted:
            known |= _best_teachers(runs, feedback, wanted, spec, threads)
            save_json(table, known)
        progress(min(begin + motions, len(paths)) / len(paths), "Which teacher does which motion best")
    return known


def _best_teachers(
    runs: Sequence[Teacher], feedback: np.ndarray, paths: Sequence[Path], spec: PolicySpec, threads: int
) -> dict[str, int]:
    best = dict.fromkeys((path.name for path in paths), -1)
    try:
        motions, _ = load_prepared(paths)
    except Missing:
        return best
    returns = np.zeros(len(motions))
    clips = [Clip.of(Episode.of_motion(motion, stand=25), k, 0) for k, motion in enumerate(motions.values())]
    for which, run in enumerate(runs):
        nominal, disturbed = (
            _return(run, feedback[which], clips, spec, variation, threads) for variation in (NOMINAL, Variation())
        )
        total = np.where(nominal > 0.0, nominal + np.maximum(disturbed, 0.0), 0.0)
        best |= {name: which for name, better in zip(motions, total > returns, strict=True) if better}
        returns = np.maximum(returns, total)
    return best


def _return(
    run: Teacher, feedback: np.ndarray, clips: Sequence[Clip], spec: PolicySpec, variation: Variation, threads: int
) -> np.ndarray:
    """(M,) mean reward of a teacher over each clip; 0: it failed."""
    robots = AnchoredRobots(len(clips), clips.__getitem__, spec, variation, 0, threads, feedback[None], 0.0)
    frames = np.array([len(clip.episode) for clip in clips])
    doing = np.ones(len(clips), dtype=bool)
    total = np.zeros(len(clips))
    for _ in range(frames.max()):
        _, reward, failed, over = robots.step(run(robots.clean_now()))
        total[doing] += reward[doing] / frames[doing]
        total[doing & failed] = 0.0
        doing &= ~(failed | over)
        if not doing.any():
            break
        robots.restart(failed | over)
    return total


def teacher_feedback(teachers: Sequence[Path]) -> np.ndarray:
    """(T, 29) share of each joint's error that is added to each teacher's command: 0 for trackers of ours."""
    return np.stack([np.zeros(JOINTS) if Student.from_onnx(path) else TEACHER_FEEDBACK for path in teachers])


class Improvement:
    """The training; `run` it, and begin again where it stopped.

    ``teachers`` are ONNX files with TWIST2's layout, of which ``spec`` is; the first may be a tracker of ours, from
    which the student then grows. ``clips`` are the training set. ``folder`` takes ``checkpoint.pt``, ``exoactor.onnx``
    with its spec and ``log.csv``; a checkpoint that is there is resumed.
    """

    def __init__(
        self,
        teachers: Sequence[Path],
        spec: PolicySpec,
        clips: Clips,
        folder: Path,
        seed: int = 0,
        settings: Settings | None = None,
        threads: int = 2,
    ) -> None:
        self.settings = s = settings or Settings()
        self.folder, self.clips = folder, clips
        folder.mkdir(parents=True, exist_ok=True)
        if s.device == "cuda" and not torch.cuda.is_available():
            raise Missing("PyTorch finds no NVIDIA GPU: train with --device cpu, or install PyTorch's CUDA build.")
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        self._rng = np.random.default_rng(seed)
        self._teachers = [load_teacher(path, threads) for path in teachers]
        feedback = teacher_feedback(teachers)
        self._own = np.asarray(~feedback.any(axis=1))
        first = Student.from_onnx(teachers[0])
        self._actor = Student(OBSERVATION_WIDTH, HIDDEN) if first is None else grown(first, OBSERVATION_WIDTH, HIDDEN)
        self._known = 0 if first is None else len(first.mean)  # inputs whose spread is known
        self._actor.to(s.device)
        self._average = Student(OBSERVATION_WIDTH, HIDDEN).to(s.device)
        self._critic = Student(OBSERVATION_WIDTH, (384, 192), 1).to(s.device)
        self._log_std = nn.Parameter(torch.full((JOINTS,), float(np.log(s.deviation)), device=s.device))
        self._parameters = [*self._actor.parameters(), *self._critic.parameters(), self._log_std]
        self._adam = torch.optim.Adam(
            [
                {"params": [*self._actor.parameters(), self._log_std], "lr": s.rate},
                {"params": list(self._critic.parameters()), "lr": s.rate},
            ]
        )
        self._average.load_state_dict(self._actor.state_dict())
        self.samples = 0
        self._rewarded = False
        self._resume()
        if self.samples:
            self._rng = np.random.default_rng([seed, self.samples])
        self._labelled = Labelled(s.buffer, OBSERVATION_WIDTH)
        self._queue = ClipQueue(clips, self._rng, threads, s.robots // 4) if s.physics else None
        queue = self._queue
        self._robots = AnchoredRobots(
            s.robots,
            (lambda _: clips.draw(self._rng)) if queue is None else (lambda _: queue.draw()),
            spec,
            Variation(),
            seed + self.samples,
            threads,
            feedback,
            warp_device=s.physics,
        )

    def run(self, samples: float, progress: Progress = no_progress) -> None:
        """Train until so many samples have been taken, those before a checkpoint counted too."""
        if not self.samples:
            self._measure()
        saved = time.monotonic()
        try:
            while self.samples < samples:
                began = time.monotonic()
                figures = self._learn(self._roll())
                figures["per_second"] = self.settings.robots * self.settings.ticks / (time.monotonic() - began)
                self._log(figures)
                progress(
                    min(1.0, self.samples / samples),
                    f"{self.samples / 1e6:.2f} M samples, " + ", ".join(f"{k} {v:.3g}" for k, v in figures.items()),
                )
                if time.monotonic() - saved > 120.0:
                    self.save()
                    saved = time.monotonic()
        finally:
            self.save()
            if self._queue:
                self._queue.close()

    def _measure(self) -> None:
        """Spread of the inputs, from a while under the student as it begins."""
        seen = []
        for _ in range(100):
            x = self._robots.observe()
            seen.append(x[::4])
            action = self._act(self._tensor(x)).numpy(force=True)
            *_, failed, over = self._robots.step(action)
            self._robots.restart(failed | over)
        sample = self._tensor(np.concatenate(seen))
        for network in (self._actor, self._average):
            network.normalise_by(sample, self._known)
        self._critic.normalise_by(sample)

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.settings.device)

    def _act(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            mean = self._actor(x)
            return mean + self._log_std.exp() * torch.randn_like(mean)

    def _value(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self._critic(x)[:, 0]

    def _roll(self) -> dict[str, torch.Tensor | float]:
        s, robots = self.settings, self._robots
        n, t = s.robots, s.ticks
        seen, actions, values, rewards, ends = (
            torch.zeros(*shape, device=s.device)
            for shape in ((t, n, OBSERVATION_WIDTH), (t, n, JOINTS), (t + 1, n), (t, n), (t, n))
        )
        fallen, raw = 0, 0.0
        for k in range(t):
            x = robots.observe()
            seen[k] = self._tensor(x)
            values[k] = self._value(seen[k])
            actions[k] = self._act(seen[k])
            teachers, now = robots.teachers, robots.clean_now()
            clean, reward, failed, over = robots.step(actions[k].numpy(force=True))
            self._keep(x, teachers, now, clean)
            # An episode that is over might go on for ever: what comes is worth what it was worth
            rewards[k] = self._tensor((1.0 - s.discount) * reward) + s.discount * values[k] * self._tensor(over)
            ends[k] = self._tensor(failed | over)
            for i in np.flatnonzero(failed | over):
                self.clips.report(robots.clips[i], bool(failed[i]))
            robots.restart(failed | over)
            fallen += int(failed.sum())
            raw += float(reward.mean())
        # The last value without remembering a step twice
        history = robots._history.copy()
        values[t] = self._value(self._tensor(robots.observe()))
        robots._history = history
        advantage, last = torch.zeros_like(rewards), torch.zeros_like(rewards[0])
        for k in range(t - 1, -1, -1):
            going = 1.0 - ends[k]
            delta = rewards[k] + s.discount * values[k + 1] * going - values[k]
            last = delta + s.discount * s.trace * going * last
            advantage[k] = last
        self.samples += n * t
        return {
            "seen": seen.flatten(0, 1),
            "actions": actions.flatten(0, 1),
            "advantage": advantage.flatten(),
            "returns": (advantage + values[:t]).flatten(),
            "falls_a_minute": 60.0 * POLICY_RATE * fallen / (n * t),
            "reward": raw / t,
        }

    def _keep(self, x: np.ndarray, teachers: np.ndarray, now: np.ndarray, clean: np.ndarray) -> None:
        for which, run in enumerate(self._teachers):
            those = np.flatnonzero(teachers == which)
            if not len(those):
                continue
            # Ours knows of the delay by itself; another's is shown the robot when the action takes effect.
            self._labelled.add(x[those], run((now if self._own[which] else clean)[those]))

    def _learn(self, batch: dict) -> dict[str, float]:
        s = self.settings
        seen, actions = batch["seen"], batch["actions"]
        with torch.no_grad():
            before = self._log_probability(self._actor(seen), actions)
        advantage = batch["advantage"]
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
        rewarded = self.samples > s.imitate_only
        imitation = max(s.least, float(np.exp(-max(0.0, self.samples - s.imitate_only) / s.fade)))
        sums = np.zeros(4)
        steps, stop = 0, False
        batch_size = len(seen) // s.batches
        actor = self._adam.param_groups[0]
        if rewarded and not self._rewarded:
            actor["lr"] = 0.05 * s.rate
        self._rewarded = rewarded
        for _ in range(s.epochs):
            for rows in torch.randperm(len(seen), device=s.device).split(batch_size):
                value = self._critic(seen[rows])[:, 0]
                of_value = nn.functional.mse_loss(value, batch["returns"][rows])
                loss = of_value
                of_policy, kl, of_teacher = torch.zeros(3)
                if rewarded and not stop:
                    now = self._log_probability(self._actor(seen[rows]), actions[rows])
                    ratio = (now - before[rows]).exp()
                    gain = torch.minimum(
                        ratio * advantage[rows], ratio.clamp(1.0 - s.clip, 1.0 + s.clip) * advantage[rows]
                    )
                    of_policy = -gain.mean() - 0.001 * self._log_std.sum()
                    loss = loss + of_policy
                    kl = (0.5 * (before[rows] - now).square()).mean().detach()
                    stop = float(kl) > 4.0 * s.change
                    if float(kl) > 2.0 * s.change:
                        actor["lr"] = max(actor["lr"] / 1.5, 1e-6)
                    elif steps and float(kl) < 0.5 * s.change:
                        actor["lr"] = min(actor["lr"] * 1.1, s.rate)
                if len(self._labelled) > batch_size:
                    of_teacher = self._labelled.loss(self._actor, batch_size, self._rng)
                    loss = loss + 2.0 * imitation * of_teacher
                self._adam.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(self._parameters, 1.0)
                self._adam.step()
                with torch.no_grad():
                    self._log_std.clamp_(np.log(0.03), np.log(0.3))
                self._average.average_in(self._actor, s.average)
                sums += [float(x.detach()) for x in (of_value, of_policy, of_teacher, kl)]
                steps += 1
        figures = dict(zip(("value_loss", "policy_loss", "imitation_loss", "kl"), sums / steps, strict=True))
        figures["imitation"] = imitation
        figures["rate"] = actor["lr"]
        figures["deviation"] = float(self._log_std.detach().exp().mean())
        figures["failing"] = float(self.clips.failing.mean())
        return figures | {k: batch[k] for k in ("falls_a_minute", "reward")}

    def _log_probability(self, mean: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        return (-0.5 * ((action - mean) / self._log_std.exp()) ** 2 - self._log_std).sum(dim=-1)

    # files

    def _log(self, figures: dict[str, float]) -> None:
        path = self.folder / "log.csv"
        fresh = not path.exists()
        with path.open("a") as file:
            if fresh:
                file.write(",".join(["samples", *figures]) + "\n")
            file.write(",".join([str(self.samples), *(f"{v:.5g}" for v in figures.values())]) + "\n")

    def save(self) -> None:
        """Write the checkpoint and the tracker as ONNX."""
        state = {
            "actor": self._actor.state_dict(),
            "average": self._average.state_dict(),
            "critic": self._critic.state_dict(),
            "log_std": self._log_std.detach(),
            "adam": self._adam.state_dict(),
            "samples": self.samples,
            "failing": dict(zip(self.clips.names, self.clips.failing.tolist(), strict=True)),
        }
        with atomic_path(self.folder / "checkpoint.pt") as path:
            torch.save(state, path)
        with atomic_path(self.folder / "exoactor.onnx") as path:
            onnx.save(to_onnx(self._average), str(path))
        save_bytes(self.folder / "exoactor.yaml", (FOLDER / "anchored.yaml").read_bytes())
        write_seen(self.folder / "exoactor.onnx", [*_SEEN, *self.clips.names])

    def _resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self.settings.device, weights_only=True)
        self._actor.load_state_dict(state["actor"])
        self._average.load_state_dict(state["average"])
        self._critic.load_state_dict(state["critic"])
        with torch.no_grad():
            self._log_std.copy_(state["log_std"])
        self._adam.load_state_dict(state["adam"])
        self.samples = state["samples"]
        self._rewarded = self.samples > self.settings.imitate_only
        if not self._rewarded:
            self._adam.param_groups[0]["lr"] = self.settings.rate
        known = state["failing"]
        self.clips.failing = np.array([known.get(name, 0.5) for name in self.clips.names])
