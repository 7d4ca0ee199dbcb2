"""Specs of policies in the formats of their authors."""

from __future__ import annotations

from pathlib import Path

from exoactor_control.policy.formats import beyond_mimic, holomotion, protomotions, sonic, unitree_rl_lab
from exoactor_control.policy.networks import Network
from exoactor_control.policy.spec import SHIPPED, PolicySpec, in_file, known_specs, load_yaml


def specs(network: Network, given: str | Path | None = None) -> tuple[PolicySpec, ...]:
    """Candidate specs of a network: as ``given`` (a file, or a known layout's name), or by detection.

    Raises
    ------
    Missing
        There is no such file.
    BadInput
        The spec is wrong.
    """
    known = known_specs()
    if given is None:
        given = _beside(network.path)
    if given is None:
        if beyond_mimic.is_one(network):
            with in_file(network.path):
                return (beyond_mimic.read(network),)
        return tuple(d for name, d in known.items() if not name.startswith(SHIPPED))
    if str(given) in known:
        return (known[str(given)],)
    data = load_yaml(given)
    with in_file(given):
        for reader in (unitree_rl_lab, sonic, protomotions, holomotion):
            if reader.is_one(data):
                return (reader.read(data, network),)
        return (PolicySpec.read(data),)


def _beside(path: Path) -> Path | None:
    """The spec next to a network, by the usual names."""
    names = [path.with_suffix(".yaml"), path.with_suffix(".deploy.yaml")]
    if "decoder" in path.stem:
        names.append(path.parent / "observation_config.yaml")
    else:
        names += [path.parent / "deploy.yaml", path.parent.parent / "params" / "deploy.yaml"]
        names += [folder / "config.yaml" for folder in (path.parent, path.parent.parent)]
    return next((name for name in names if name.is_file()), None)
