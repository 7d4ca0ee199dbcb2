"""Fit the robot's collision shapes to Unitree's surfaces: a few capsules per link that enclose its points.

For every link and number of capsules, the sum of two costs is minimised from several initial guesses: squared distances
of surface points outside the capsules, and the volume of the capsules outside the link (`surfaces.Solid`). Then all
radii grow until the points are at most `OUTSIDE` outside. The smallest number of capsules is chosen whose mean
inflation is at most `TIGHT`, or else at most `NEARLY` above the minimum.

Inflation is the mean distance, over points spread evenly on the surface of the capsules' union, to the nearest surface
point: it includes the spacing of the points (5 mm on the torso). Left links are fitted and mirrored to the right; links
in the middle get shapes that are symmetric.

    .venv/bin/python bench/fit_shapes.py DATA/robot/g1_surface_points.npz --write

replaces the shapes in the URDF except for the soles' spheres. Without ``--write`` it prints the table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from scipy.cluster.vq import kmeans2
from scipy.optimize import minimize
from scipy.spatial import cKDTree
from surfaces import MIRROR, Solid, read_points

from exoactor_description import urdf_path

OUTSIDE, SHARE = 0.0015, 0.998  # m, maximum distance outside of this share of the points
TIGHT, NEARLY = 0.0125, 0.001  # m of mean inflation that is good enough
MOST = 7  # capsules per link
SEED = 0
_BEGINNINGS = 6
_SOFT = 0.003  # m, width of the blurred boundary of a capsule during the fit


@dataclass(frozen=True)
class Capsules:
    """K capsules: ends (K, 2, 3) of their axes and radii (K,), m."""

    ends: np.ndarray
    radius: np.ndarray

    def outside(self, points: np.ndarray) -> np.ndarray:
        """Distances (N,) m of points from the union; negative inside."""
        return (_distances(self.ends, points)[0] - self.radius[:, None]).min(axis=0)

    def surface(self, rng: np.random.Generator, count: int = 4000) -> np.ndarray:
        """Points spread evenly over the surface of the union."""
        length = np.linalg.norm(self.ends[:, 1] - self.ends[:, 0], axis=1)
        area = 2 * np.pi * self.radius * (length + 2 * self.radius)
        which = rng.choice(len(area), count, p=area / area.sum())
        ball = rng.normal(size=(count, 3))
        ball /= np.linalg.norm(ball, axis=1, keepdims=True)
        along = (self.ends[:, 1] - self.ends[:, 0]) / np.maximum(length, 1e-9)[:, None]
        along = along[which]
        height = np.sum(ball * along, axis=1)
        # A sphere's area between two heights is that of the cylinder about it: evenly along the axis is evenly in area.
        at = rng.uniform(-1, 1, count) * (0.5 * length + self.radius)[which]
        on_side = np.abs(at) < 0.5 * length[which]
        across = ball - height[:, None] * along
        across /= np.linalg.norm(across, axis=1, keepdims=True)
        height = np.clip(np.abs(at) - 0.5 * length[which], 0, None) * np.sign(at) / self.radius[which]
        round_ = np.sqrt(np.clip(1 - height**2, 0, 1))[:, None] * across + height[:, None] * along
        middle = self.ends.mean(axis=1)[which]
        center = middle + np.clip(at, -0.5 * length[which], 0.5 * length[which])[:, None] * along
        points = center + self.radius[which, None] * np.where(on_side[:, None], across, round_)
        return points[self.outside(points) > -1e-6]

    def mirrored(self) -> Capsules:
        return Capsules(self.ends * MIRROR, self.radius)

    def inflation(self, points: np.ndarray) -> float:
        """Mean distance, m, of the union's surface from the link's points."""
        return float(cKDTree(points).query(self.surface(np.random.default_rng(SEED)))[0].mean())


def _distances(ends: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances (K, N) of points from segments, positions (K, N) along them, and unit vectors (K, N, 3) from them."""
    a, along = ends[:, None, 0], ends[:, None, 1] - ends[:, None, 0]
    share = np.sum((points - a) * along, axis=-1) / np.maximum(np.sum(along**2, axis=-1), 1e-12)
    share = np.clip(share, 0.0, 1.0)
    away = points - a - share[..., None] * along
    distance = np.linalg.norm(away, axis=-1)
    return distance, share, away / np.maximum(distance, 1e-9)[..., None]


@dataclass(frozen=True)
class _Middle:
    """Links in the middle: capsules lie across the mirror plane or in it."""

    across: np.ndarray
    """(K,) bool."""


def _unpacked(x: np.ndarray, middle: _Middle | None) -> tuple[np.ndarray, np.ndarray]:
    rows = x.reshape(-1, 7)
    ends, radius = rows[:, :6].reshape(-1, 2, 3).copy(), rows[:, 6]
    if middle:
        ends[middle.across, 1] = ends[middle.across, 0] * MIRROR
        ends[~middle.across, :, 1] = 0.0
    return ends, radius


def _cost(
    x: np.ndarray, points: np.ndarray, space: np.ndarray, weight: float, middle: _Middle | None
) -> tuple[float, np.ndarray]:
    """Cost and its derivative: points outside the capsules, and volume of the capsules outside the link."""
    ends, radius = _unpacked(x, middle)
    slope = np.zeros((len(radius), 7))
    cost = 0.0
    for at, part in ((points, 0), (space, 1)):
        distance, share, unit = _distances(ends, at)
        signed = distance - radius[:, None]
        k = signed.argmin(axis=0)
        n = np.arange(len(at))
        least = signed[k, n]
        if part == 0:
            over = np.maximum(least - 0.0005, 0.0)
            cost += 4e4 * np.mean(over**2)
            pull = 8e4 * over / len(at)
        else:
            inside = 1.0 / (1.0 + np.exp(np.clip(least / _SOFT, -40, 40)))
            cost += weight * np.sum(inside)
            pull = -weight * inside * (1 - inside) / _SOFT
        share, unit = share[k, n], unit[k, n]
        for i in range(3):
            slope[:, i] += np.bincount(k, -pull * (1 - share) * unit[:, i], len(radius))
            slope[:, 3 + i] += np.bincount(k, -pull * share * unit[:, i], len(radius))
        slope[:, 6] += np.bincount(k, -pull, len(radius))
    if middle:
        across = middle.across
        slope[across, :3] += slope[across, 3:6] * MIRROR
        slope[across, 3:6] = 0.0
        slope[~across, 1] = slope[~across, 4] = 0.0
    return cost, slope.ravel()


def fit(points: np.ndarray, count: int, middle: bool, rng: np.random.Generator) -> Capsules:
    """``count`` capsules that enclose points (N, 3); ``middle``: each is symmetric."""
    solid = Solid(points)
    pad = 0.04
    low, high = points.min(axis=0) - pad, points.max(axis=0) + pad
    around = rng.uniform(low, high, (60000, 3))
    depth = solid.depth(around)
    space = around[depth < -0.001][:12000]
    inside = around[depth > 0]
    cell = np.prod(high - low) / 60000 * max(1, (depth < -0.001).sum() / len(space))
    area = np.pi * solid.radius**2 * len(points) / np.log(len(points))
    weight = 100.0 * cell / area  # so that 10 mm of excess all over cost 1, as points 5 mm outside do
    best: tuple[float, np.ndarray, _Middle | None] | None = None
    for _ in range(_BEGINNINGS):
        cloud = np.concatenate([points, inside])
        cloud = cloud[rng.choice(len(cloud), min(len(cloud), 3000), replace=False)]
        spread = cloud * ([1, 0.2, 1] if middle else rng.uniform(0.5, 1.5, 3))
        _, label = kmeans2(spread, count, seed=rng, minit="++")
        kind = _Middle(rng.uniform(size=count) < 0.6) if middle else None
        begin = np.zeros((count, 7))
        for k in range(count):
            own = cloud[label == k] if (label == k).sum() > 3 else cloud
            center = own.mean(axis=0)
            _, size, axes = np.linalg.svd(own - center, full_matrices=False)
            size = size / np.sqrt(len(own))
            half = max(size[0] * 1.7 - size[1:].mean() * 1.4, 0.004)
            begin[k, :3], begin[k, 3:6] = center - half * axes[0], center + half * axes[0]
            begin[k, 6] = size[1:].mean() * 1.5
            if middle and kind.across[k]:
                begin[k, :3] = center
                begin[k, 1] = max(np.ptp(own[:, 1]) / 2 - begin[k, 6], 0.004)
        bounds = [(None, None)] * 6 + [(0.004, None)]
        found = minimize(
            _cost,
            begin.ravel(),
            (points, space, weight, kind),
            "L-BFGS-B",
            True,
            bounds=bounds * count,
            options={"maxiter": 300},
        )
        if best is None or found.fun < best[0]:
            best = found.fun, found.x, kind
    ends, radius = _unpacked(*best[1:])
    grown = Capsules(ends.round(4), radius)
    short = np.quantile(grown.outside(points), SHARE) - OUTSIDE
    return Capsules(ends.round(4), np.ceil(1e4 * (radius + max(short, -0.002))) / 1e4)


def best_fit(name: str, points: np.ndarray) -> Capsules:
    """The smallest number of capsules that are tight enough, or the tightest."""
    middle = not re.search("left|right", name)
    found = []
    for count in range(1, MOST + 1):
        capsules = fit(points, count, middle, np.random.default_rng(SEED + count))
        found.append((capsules.inflation(points), capsules))
        if found[-1][0] <= TIGHT:
            return capsules
    least = min(inflation for inflation, _ in found)
    return next(capsules for inflation, capsules in found if inflation <= least + NEARLY)


def element(name: str, end: np.ndarray, radius: float) -> str:
    """The URDF element: a cylinder of the capsule's total length, as `exoactor_core.robot` reads it."""
    along = end[1] - end[0]
    length = float(np.linalg.norm(along))
    if length < 1e-3:
        geometry, rpy = f'<sphere radius="{radius:g}"/>', ""
    else:
        geometry = f'<cylinder radius="{radius:g}" length="{length + 2 * radius:.4f}"/>'
        pitch, yaw = np.arccos(np.clip(along[2] / length, -1, 1)), np.arctan2(along[1], along[0])
        rpy = f' rpy="0 {pitch:.5f} {yaw:.5f}"'
    xyz = " ".join(f"{v + 0.0:.5g}" for v in end.mean(axis=0).round(6))
    return f'    <collision name="{name}"><origin xyz="{xyz}"{rpy}/><geometry>{geometry}</geometry></collision>\n'


def written(urdf: str, fitted: dict[str, Capsules]) -> str:
    """The URDF with these shapes instead of its own, except for the soles' spheres."""
    for name, capsules in fitted.items():
        begin = re.search(rf'  <link name="{name}">\n', urdf).end()
        end = urdf.index("  </link>\n", begin)
        kept = [
            line
            for line in urdf[begin:end].splitlines(keepends=True)
            if "<collision" not in line or re.search('_(heel|toe)_(left|right)"', line)
        ]
        short = name.removesuffix("_link")
        shapes = zip(capsules.ends, capsules.radius, strict=True)
        kept += [element(f"{short}_{k + 1}", e, r) for k, (e, r) in enumerate(shapes)]
        urdf = urdf[:begin] + "".join(kept) + urdf[end:]
    return urdf


def main(
    points: Annotated[Path, typer.Argument(help="g1_surface_points.npz.", exists=True)],
    write: Annotated[bool, typer.Option(help="Write the shapes into the project's URDF.")] = False,
    hands: Annotated[bool, typer.Option(help="Fit the Dex3 hands' links instead, and print their elements.")] = False,
) -> None:
    clouds = {name: p for name, p in read_points(points).items() if name.startswith("hand/") == hands}
    fitted: dict[str, Capsules] = {}
    for name, cloud in clouds.items():
        other = name.replace("right_", "left_")
        fitted[name] = fitted[other].mirrored() if other in fitted else best_fit(name, cloud)
        capsules = fitted[name]
        own = cloud[: len(cloud) // 2]
        typer.echo(
            f"{name:34s} {len(capsules.radius)} capsules, inflated by {1e3 * capsules.inflation(cloud):4.1f} mm, "
            f"{(capsules.outside(own) <= 0.002).mean():.4f} within 2 mm, worst {1e3 * capsules.outside(own).max():.1f}"
        )
        if hands:
            shapes = zip(capsules.ends, capsules.radius, strict=True)
            typer.echo("".join(element(f"{name[5:-5]}_{k + 1}", e, r) for k, (e, r) in enumerate(shapes)))
    typer.echo(f"{sum(len(c.radius) for c in fitted.values())} capsules")
    if write and not hands:
        path = urdf_path()
        path.write_text(written(path.read_text(encoding="utf-8"), fitted), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
