"""Unitree's own surfaces of the G1, and how deeply its links penetrate each other by them.

The surfaces are points, 1,500 per visual mesh, in link frames (m). A link's solid is the region that they enclose:
everything that balls of radius r about the points cover or shut in, minus a skin of thickness r (a morphological
closing on a grid). r is the distance within which any random point on the surface has a neighbour (the covering
radius), so that the balls leave no gaps; narrower cavities are filled. Many meshes are shells that are open at the
joints: a cell also counts as shut in if the balls hide it from three quarters of all directions. The depth of a point
in a link is its distance from the outside of the closed region, minus r; the grid makes it accurate to about 2 mm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_fill_holes, distance_transform_edt, map_coordinates
from scipy.spatial import cKDTree

from exoactor_core import robot
from exoactor_core.motion import RobotMotion
from exoactor_description import touching_links

_SPACING = 0.003  # m, of the grid
_SCALLOP = 0.001  # m, skin beyond r between the points, so that these lie at depth 0
_HIDDEN = 0.75  # share of directions
_OVERLAP_BY_SHAPES = {frozenset(("torso_link", f"{side}_shoulder_roll_link")) for side in ("left", "right")}
"""Pairs that the SRDF excludes although their surfaces need not touch."""
_FAR = -1.0  # m, depth of distant points
MIRROR = np.array([1.0, -1.0, 1.0])
"""Left and right are mirror images in the x-z plane."""


def read_points(path: Path) -> dict[str, np.ndarray]:
    """Points (N, 3) of every link in its frame, m; each includes the mirrored points of its counterpart."""
    with np.load(path) as data:
        points = {name: data[name].astype(np.float64) for name in data.files}
    swap = {name: name.replace("left_", "\0").replace("right_", "left_").replace("\0", "right_") for name in points}
    return {name: np.concatenate([own, points[swap[name]] * MIRROR]) for name, own in points.items()}


@dataclass(frozen=True)
class Solid:
    """The solid that a link's points enclose."""

    points: np.ndarray
    """(N, 3) m."""

    @cached_property
    def radius(self) -> float:
        """Covering radius of the points, m."""
        tree = cKDTree(self.points)
        # Area that N random points share, from the distances to their 8th neighbours: a disc holds 8 of them.
        area = len(self.points) * np.pi * np.mean(tree.query(self.points, 9)[0][:, -1] ** 2) / 8.0
        return max(float(np.sqrt(area * np.log(len(self.points)) / (np.pi * len(self.points)))), 2.0 * _SPACING)

    @cached_property
    def _grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Depths (X, Y, Z) m on a grid, and its first corner."""
        pad = self.radius + 3 * _SPACING
        low = self.points.min(axis=0) - pad
        count = np.ceil((self.points.max(axis=0) + pad - low) / _SPACING).astype(int) + 1
        axes = [low[i] + _SPACING * np.arange(count[i]) for i in range(3)]
        at = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        distance = cKDTree(self.points).query(at.reshape(-1, 3), distance_upper_bound=pad)[0].reshape(count)
        balls = distance < self.radius
        filled = binary_fill_holes(balls | (_hidden(balls) >= _HIDDEN))
        depth = _SPACING * (distance_transform_edt(filled) - 0.5) - self.radius + _SCALLOP
        # Outside of the balls the distance to the points is exact.
        return np.where(filled, depth, -np.minimum(distance, pad)), low

    def depth(self, points: np.ndarray) -> np.ndarray:
        """Depths (N,) m of points (N, 3) in the link's frame; negative outside."""
        grid, low = self._grid
        return map_coordinates(grid, ((points - low) / _SPACING).T, order=1, cval=_FAR)


def _hidden(full: np.ndarray) -> np.ndarray:
    """Share of 26 directions in which a ray from each cell of a grid (X, Y, Z) hits a full one."""
    met = np.zeros(full.shape)
    for way in product((-1, 0, 1), repeat=3):
        if not any(way):
            continue
        axis = next(i for i in range(3) if way[i])
        grid = np.moveaxis(full, axis, 0)[:: way[axis]]
        shift = [s for i, s in enumerate(way) if i != axis]
        blocked = np.zeros(grid.shape, dtype=bool)
        for i in range(1, len(grid)):
            before = np.pad(blocked[i - 1] | grid[i - 1], 1)
            x, y = 1 - shift[0], 1 - shift[1]
            blocked[i] = before[x : x + grid.shape[1], y : y + grid.shape[2]]
        met += np.moveaxis(blocked[:: way[axis]], 0, axis)
    return met / 26.0


class Surfaces:
    """The G1's links as solids from their surfaces.

    Parameters
    ----------
    path
        g1_surface_points.npz.
    """

    def __init__(self, path: Path) -> None:
        points = {name: p for name, p in read_points(path).items() if "/" not in name}
        self.solids: Mapping[str, Solid] = {name: Solid(p) for name, p in points.items()}
        model = robot.pinocchio_model()
        carrier = {name: model.frames[model.getFrameId(name)].parentJoint for name in self.solids}
        touching = {
            frozenset(model.frames[model.getFrameId(name)].parentJoint for name in pair)
            for pair in touching_links(robot.urdf_path()) - _OVERLAP_BY_SHAPES
        }
        self.pairs: list[tuple[str, str]] = [
            (one, other)
            for one, other in combinations(self.solids, 2)
            if carrier[one] != carrier[other] and frozenset((carrier[one], carrier[other])) not in touching
        ]
        """Links that must not penetrate each other: all but neighbours whose surfaces touch."""

    def penetration(self, motion: RobotMotion, pairs: list[tuple[str, str]] | None = None) -> np.ndarray:
        """Penetration depths (T, P) m of the links of ``pairs``, 0 without penetration; None: `pairs`.

        It is the maximum depth of any point of one link in the other.
        """
        pairs = self.pairs if pairs is None else pairs
        links = sorted({name for pair in pairs for name in pair})
        pos, rot = robot.link_poses(motion, links)
        place = {name: i for i, name in enumerate(links)}
        middle = {n: 0.5 * (self.solids[n].points.min(axis=0) + self.solids[n].points.max(axis=0)) for n in links}
        reach = {n: np.linalg.norm(self.solids[n].points - middle[n], axis=1).max() for n in links}
        center = {n: pos[:, i] + rot[:, i] @ middle[n] for n, i in place.items()}
        out = np.zeros((len(motion), len(pairs)))
        for p, (one, other) in enumerate(pairs):
            near = np.linalg.norm(center[one] - center[other], axis=1) < reach[one] + reach[other]
            for t in np.flatnonzero(near):
                for a, b in ((one, other), (other, one)):
                    i, j = place[a], place[b]
                    world = self.solids[a].points @ rot[t, i].T + pos[t, i]
                    depth = self.solids[b].depth((world - pos[t, j]) @ rot[t, j])
                    out[t, p] = max(out[t, p], depth.max())
        return out
