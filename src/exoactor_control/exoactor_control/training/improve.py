"""Imitation of teachers, and reinforcement learning beyond them, in one resumable loop.

The student drives robots with the observation of ``policies/anchored.yaml`` (`exoactor_control.training.anchored`). It
is taught by DAgger on the motions at which one of the teachers succeeds (`exoactor_control.training.teachers`), and
rewarded on all motions: proximal policy optimisation (J. Schulman and others, "Proximal policy optimization
algorithms", 2017), with an imitation loss that fades.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from exoactor_control.policy.spec import FOLDER, PolicySpec
from exoactor_control.reference.trajectory import POLICY_RATE
from exoactor_control.training.anchored import OBSERVATION_WIDTH, AnchoredRobots
from exoactor_control.training.clips import ClipQueue, Clips
from exoactor_control.training.environment import DomainRandomization
from exoactor_control.training.rollouts import as_teacher
from exoactor_control.training.split import write_trained_on
from exoactor_control.training.student import JOINTS, ImitationBuffer, Student, load_teacher, to_onnx
from exoactor_control.training.teachers import teacher_feedback
from exoactor_control.training.validation import Validation
from exoactor_core.errors import Missing
from exoactor_core.files import atomic_path, save_bytes
from exoactor_core.stages import Progress, no_progress

HIDDEN = (768, 384, 192)
_SEEN = ("asap_*", "kimodo_*", "task_*", "twist2_*")
"""Motions that the tracker from which the student starts was trained on."""


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of the training."""

    device: str = "cpu"
    """PyTorch device of the networks."""
    physics: str = ""
    """Device of MuJoCo Warp; empty: MuJoCo in threads."""
    robots: int = 192
    steps: int = 512
    """Control steps of every robot between updates: 100,000 samples. The policy gradients of two batches of 18,000 had
    nothing in common (cosine -0.01); with 4,600 the policy diverged."""
    epochs: int = 3
    minibatches: int = 24
    """Into which the samples between two updates are divided."""
    buffer: int = 150_000
    """Number of labelled samples kept for imitation, the newest ones."""
    learning_rate: float = 2e-4
    """Of Adam; once rewards count, the actor's is lowered to keep its change near `target_kl`."""
    target_kl: float = 0.01
    """Target Kullback-Leibler divergence of an update of the policy."""
    imitation_samples: float = 5e6
    """Samples before rewards count; the critic is learning meanwhile. Imitation alone raised the validation's score
    until 3 million; with rewards from 0.5 million on, every update was over `target_kl` and the actor's rate fell to
    its minimum."""
    imitation_decay: float = 1e7
    """Samples in which the weight of imitation then decays to 1/e, down to `min_imitation`."""
    min_imitation: float = 0.05
    discount: float = 0.98
    gae_lambda: float = 0.95
    """Lambda of the generalised advantage estimate."""
    clip_range: float = 0.15
    initial_std: float = 0.12
    """Initial standard deviation of the exploration, in the network's units."""
    ema_decay: float = 0.99
    """Of the moving average of the weights, which is exported."""
    validate_every: float = 2.5e5
    """Samples between two validations."""


ON_GPU = Settings(
    device="cuda",
    physics="cuda",
    robots=4096,
    steps=24,
    minibatches=16,
    buffer=600_000,
    imitation_samples=1e6,
    ema_decay=0.999,
    validate_every=1e7,
)


def widened(old: Student, observation: int, hidden: Sequence[int]) -> Student:
    """Return a student with more inputs, which come last, and wider layers, that computes the same as the old one."""
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


def check_device(device: str) -> None:
    """Raise `Missing` if this computer lacks the device, "cpu" or "cuda"."""
    if device == "cuda" and not torch.cuda.is_available():
        raise Missing("PyTorch finds no NVIDIA GPU: train with --device cpu, or install PyTorch's CUDA build.")


class Trainer:
    """The training; call `run`, and again to resume.

    ``teachers`` are ONNX files with TWIST2's layout, described by ``spec``; the first may be a tracker of ours, from
    which the student then starts. ``clips`` are the training set. ``folder`` receives ``checkpoint.pt``,
    ``exoactor.onnx`` with its spec and ``log.csv``; an existing checkpoint is resumed. The newest network is exported,
    or, with a ``validation``, the best by it.
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
        validation: Validation | None = None,
    ) -> None:
        self._validation, self._best, self._validated = validation, -np.inf, 0
        self.settings = s = settings or Settings()
        self.folder, self.clips = folder, clips
        folder.mkdir(parents=True, exist_ok=True)
        check_device(s.device)
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        self._rng = np.random.default_rng(seed)
        self._teachers = [load_teacher(path, threads) for path in teachers]
        self._names = [path.stem for path in teachers]
        self._feedback = feedback = teacher_feedback(teachers)
        self._own = np.asarray(~feedback.any(axis=1))
        first = Student.from_onnx(teachers[0])
        self._actor = Student(OBSERVATION_WIDTH, HIDDEN) if first is None else widened(first, OBSERVATION_WIDTH, HIDDEN)
        self._known = 0 if first is None else len(first.mean)  # inputs whose scale is known
        self._actor.to(s.device)
        self._average = Student(OBSERVATION_WIDTH, HIDDEN).to(s.device)
        self._critic = Student(OBSERVATION_WIDTH, (384, 192), 1).to(s.device)
        self._log_std = nn.Parameter(torch.full((JOINTS,), float(np.log(s.initial_std)), device=s.device))
        self._adam = torch.optim.Adam(
            [
                {"params": [*self._actor.parameters(), self._log_std], "lr": s.learning_rate},
                {"params": list(self._critic.parameters()), "lr": s.learning_rate},
            ]
        )
        self._average.load_state_dict(self._actor.state_dict())
        self.samples = 0
        self._rewarded = False
        self._resume()
        if self.samples:
            self._rng = np.random.default_rng([seed, self.samples])
        self._imitation = ImitationBuffer(s.buffer, OBSERVATION_WIDTH)
        self._queue = ClipQueue(clips, self._rng, threads, s.robots // 4) if s.physics else None
        queue = self._queue
        self._robots = AnchoredRobots(
            s.robots,
            (lambda _: clips.draw(self._rng)) if queue is None else (lambda _: queue.draw()),
            spec,
            DomainRandomization(),
            seed + self.samples,
            threads,
            feedback,
            warp_device=s.physics,
        )

    def run(self, samples: float, progress: Progress = no_progress) -> None:
        """Train until so many samples have been taken, including those before a checkpoint."""
        if not self.samples:
            self._measure()
            self._validate_teachers()
        saved = time.monotonic()
        try:
            while self.samples < samples:
                began = time.monotonic()
                before, steps = self.samples, math.ceil((samples - self.samples) / self.settings.robots)
                figures = self._learn(self._roll(min(self.settings.steps, steps)))
                figures["per_second"] = (self.samples - before) / (time.monotonic() - began)
                self._log(figures)
                if self.samples - self._validated >= self.settings.validate_every:
                    self._validate()
                progress(
                    min(1.0, self.samples / samples),
                    f"{self.samples / 1e6:.2f} M samples, " + ", ".join(f"{k} {v:.3g}" for k, v in figures.items()),
                )
                if time.monotonic() - saved > 120.0:
                    self.save()
                    saved = time.monotonic()
            if self.samples > self._validated:
                self._validate()
        finally:
            self.save()
            if self._queue:
                self._queue.close()

    def _measure(self) -> None:
        """Measure the scale of the inputs with the initial student."""
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

    def _validate_teachers(self) -> None:
        """Validate the teachers and the initial student, for comparison."""
        if self._validation is None:
            return
        for name, run, feedback in zip(self._names, self._teachers, self._feedback, strict=True):
            self._validation.measure(name, 0, as_teacher(run), feedback)
        self._validate()

    def _validate(self) -> None:
        """Validate the student, and export it if it is the best so far."""
        self._validated = self.samples
        if self._validation is None:
            return

        def act(robots: AnchoredRobots) -> np.ndarray:
            with torch.no_grad():
                return self._average(self._tensor(robots.observe())).numpy(force=True)

        score = self._validation.measure("student", self.samples, act)
        if score > self._best:
            self._best = score
            self._export()

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.settings.device)

    def _act(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            mean = self._actor(x)
            return mean + self._log_std.exp() * torch.randn_like(mean)

    def _value(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self._critic(x)[:, 0]

    def _roll(self, steps: int) -> dict[str, torch.Tensor | float]:
        s, robots = self.settings, self._robots
        n, t = s.robots, steps
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
            # An episode that ended by itself could continue: its future is worth its present value
            rewards[k] = self._tensor((1.0 - s.discount) * reward) + s.discount * values[k] * self._tensor(over)
            ends[k] = self._tensor(failed | over)
            for i in np.flatnonzero(failed | over):
                self.clips.report(robots.clips[i], bool(failed[i]))
            robots.restart(failed | over)
            fallen += int(failed.sum())
            raw += float(reward.mean())
        values[t] = self._value(self._tensor(robots.observe(remember=False)))  # the next rollout begins with this step
        advantage, last = torch.zeros_like(rewards), torch.zeros_like(rewards[0])
        for k in range(t - 1, -1, -1):
            going = 1.0 - ends[k]
            delta = rewards[k] + s.discount * values[k + 1] * going - values[k]
            last = delta + s.discount * s.gae_lambda * going * last
            advantage[k] = last
        self.samples += n * t
        return {
            "seen": seen.flatten(0, 1),
            "actions": actions.flatten(0, 1),
            "advantage": advantage.flatten(),
            "values": values[:t].flatten(),
            "returns": (advantage + values[:t]).flatten(),
            "falls_a_minute": 60.0 * POLICY_RATE * fallen / (n * t),
            "reward": raw / t,
        }

    def _keep(self, x: np.ndarray, teachers: np.ndarray, now: np.ndarray, clean: np.ndarray) -> None:
        for which, run in enumerate(self._teachers):
            those = np.flatnonzero(teachers == which)
            if not len(those):
                continue
            # Ours takes the delay into account itself; others are shown the state when the action takes effect.
            self._imitation.add(x[those], run((now if self._own[which] else clean)[those]))

    def _learn(self, batch: dict) -> dict[str, float]:
        s = self.settings
        seen, actions = batch["seen"], batch["actions"]
        with torch.no_grad():
            before = self._log_probability(self._actor(seen), actions)
        advantage = batch["advantage"]
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
        rewarded = self.samples > s.imitation_samples
        imitation = max(
            s.min_imitation, float(np.exp(-max(0.0, self.samples - s.imitation_samples) / s.imitation_decay))
        )
        sums = np.zeros(4)
        steps, stop = 0, False
        batch_size = len(seen) // s.minibatches
        actor = self._adam.param_groups[0]
        if rewarded and not self._rewarded:
            actor["lr"] = 0.05 * s.learning_rate
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
                        ratio * advantage[rows], ratio.clamp(1.0 - s.clip_range, 1.0 + s.clip_range) * advantage[rows]
                    )
                    of_policy = -gain.mean() - 0.001 * self._log_std.sum()
                    loss = loss + of_policy
                    kl = (0.5 * (before[rows] - now).square()).mean().detach()
                    stop = float(kl) > 4.0 * s.target_kl
                    if float(kl) > 2.0 * s.target_kl:
                        actor["lr"] = max(actor["lr"] / 1.5, 1e-6)
                    elif steps and float(kl) < 0.5 * s.target_kl:
                        actor["lr"] = min(actor["lr"] * 1.1, s.learning_rate)
                if len(self._imitation) > batch_size:
                    of_teacher = self._imitation.loss(self._actor, batch_size, self._rng)
                    # in units of the exploration, like the policy's own divergence: otherwise it is 1% of the gradient
                    loss = loss + imitation * of_teacher / self._log_std.detach().exp().square().mean()
                self._adam.zero_grad(set_to_none=True)
                loss.backward()
                for group in self._adam.param_groups:  # separately: the critic's errors must not slow the actor down
                    nn.utils.clip_grad_norm_(group["params"], 1.0)
                self._adam.step()
                with torch.no_grad():
                    self._log_std.clamp_(np.log(0.03), np.log(0.3))
                self._average.average_in(self._actor, s.ema_decay)
                sums += [float(x.detach()) for x in (of_value, of_policy, of_teacher, kl)]
                steps += 1
        figures = dict(zip(("value_loss", "policy_loss", "imitation_loss", "kl"), sums / steps, strict=True))
        figures["imitation"] = imitation
        figures["rate"] = actor["lr"]
        figures["deviation"] = float(self._log_std.detach().exp().mean())
        figures["explained"] = float(1.0 - (batch["returns"] - batch["values"]).var() / batch["returns"].var())
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
        """Write the checkpoint and, without a validation, the tracker."""
        state = {
            "actor": self._actor.state_dict(),
            "average": self._average.state_dict(),
            "critic": self._critic.state_dict(),
            "log_std": self._log_std.detach(),
            "adam": self._adam.state_dict(),
            "samples": self.samples,
            "rewarded": self._rewarded,
            "best": self._best,
            "validated": self._validated,
            "failing": dict(zip(self.clips.names, self.clips.failing.tolist(), strict=True)),
        }
        with atomic_path(self.folder / "checkpoint.pt") as path:
            torch.save(state, path)
        if self._validation is None:
            self._export()

    def _export(self) -> None:
        """Write the tracker as ONNX, with its spec and the list of motions that it has seen."""
        with atomic_path(self.folder / "exoactor.onnx") as path:
            onnx.save(to_onnx(self._average), str(path))
        save_bytes(self.folder / "exoactor.yaml", (FOLDER / "anchored.yaml").read_bytes())
        write_trained_on(self.folder / "exoactor.onnx", [*_SEEN, *self.clips.names])

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
        self._rewarded = state.get("rewarded", False)
        self._best, self._validated = state.get("best", -np.inf), state.get("validated", 0)
        if not self._rewarded:
            self._adam.param_groups[0]["lr"] = self.settings.learning_rate
        known = state["failing"]
        self.clips.failing = np.array([known.get(name, 0.5) for name in self.clips.names])
