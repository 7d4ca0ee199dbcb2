from glob import glob
from xml.etree import ElementTree

from setuptools import find_packages, setup

package_name = "exoactor"

setup(
    name=package_name,
    version=ElementTree.parse("package.xml").findtext("version"),
    description="The application: command line, task server, node graph, pipeline",
    license="Apache-2.0",
    packages=find_packages(include=[package_name, f"{package_name}.*"]),
    python_requires=">=3.11,<3.13",
    install_requires=["exoactor_core", "numpy", "typer", "rich", "pyyaml", "pydantic", "annotated-types"],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
        (f"share/{package_name}/launch", glob("launch/*.launch.py")),
        (f"share/{package_name}/config", glob("config/*")),
    ],
    entry_points={
        "console_scripts": ["exoactor = exoactor_core.entry:exoactor", "task_server = exoactor_core.entry:task_server"]
    },
)
