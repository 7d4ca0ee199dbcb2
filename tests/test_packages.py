"""Every package is complete: what ROS 2, pip and the user look for is where they look."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib.metadata import distribution
from pathlib import Path

import pytest
import setuptools
from setuptools.discovery import PackageFinder
from typer.testing import CliRunner

import exoactor
from exoactor import cli

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = sorted(path.parent for path in ROOT.glob("src/*/setup.py"))


@pytest.mark.parametrize("folder", sorted(ROOT.glob("src/*")), ids=lambda path: path.name)
def test_package_xml(folder):
    root = ElementTree.parse(folder / "package.xml").getroot()
    assert root.get("format") == "3"
    assert root.findtext("name") == folder.name
    assert root.findtext("license") == "Apache-2.0"
    assert root.findtext("export/build_type") == ("ament_python" if folder in PACKAGES else "ament_cmake")


def test_there_is_one_version():
    found = {path: ElementTree.parse(path).getroot().findtext("version") for path in ROOT.glob("src/*/package.xml")}
    found |= {folder / "setup.py": _setup_keywords(folder)["version"] for folder in PACKAGES}
    citation = ROOT / "CITATION.cff"
    found[citation] = re.search(r"^version: (.*)$", citation.read_text(), re.M)[1]
    found |= {f"installed {folder.name}": distribution(folder.name).version for folder in PACKAGES}
    found["exoactor.__version__"] = exoactor.__version__
    found["exoactor --version"] = CliRunner().invoke(cli.app, ["--version"]).stdout.strip()
    assert len(set(found.values())) == 1, found


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda path: path.name)
def test_messages_that_are_imported_are_dependencies(folder):
    names = {element.text for element in ElementTree.parse(folder / "package.xml").getroot()}
    code = "\n".join(path.read_text() for path in (folder / folder.name).rglob("*.py"))
    for package in ("exoactor_interfaces", "geometry_msgs", "nav_msgs", "sensor_msgs", "std_msgs", "std_srvs"):
        assert f"{package}." not in code or package in names, f"{folder.name}/package.xml lacks {package}"


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda path: path.name)
def test_data_is_installed(folder):
    """Each file under the package that is not Python matches one of its package_data patterns."""
    keywords = _setup_keywords(folder)
    package = folder / folder.name
    patterns = keywords.get("package_data", {}).get(folder.name, [])
    installed = {file for pattern in patterns for file in package.glob(pattern)}
    data = {file for file in package.rglob("*.*") if file.suffix not in (".py", ".pyc") and file.is_file()}
    assert data <= installed
    assert (folder / "resource" / folder.name).exists()
    assert set(PackageFinder.find(str(folder), include=[f"{folder.name}*"])) == set(keywords["packages"])


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda path: path.name)
def test_entry_points_load(folder):
    for entry in distribution(folder.name).entry_points:
        entry.load()


def test_ament_finds_launch_and_config(monkeypatch):
    index = pytest.importorskip("ament_index_python.packages")
    monkeypatch.setenv("AMENT_PREFIX_PATH", sys.prefix)
    share = Path(index.get_package_share_directory("exoactor"))
    assert (share / "launch" / "bringup.launch.py").is_file()
    assert (share / "config" / "exoactor.yaml").is_file()
    assert (share / "config" / "exoactor.rviz").is_file()
    assert (Path(index.get_package_share_directory("exoactor_description")) / "urdf" / "g1.urdf").is_file()


def _setup_keywords(folder):
    """What setup.py gives to setup(), read by running it with another setup."""
    keywords = {}
    here = Path.cwd()
    real, setuptools.setup = setuptools.setup, lambda **given: keywords.update(given)
    try:
        os.chdir(folder)
        exec(compile((folder / "setup.py").read_text(), "setup.py", "exec"), {"__name__": "__main__"})
    finally:
        setuptools.setup = real
        os.chdir(here)
    return keywords


def test_help_does_without_scipy():
    code = "import sys, exoactor.cli; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
