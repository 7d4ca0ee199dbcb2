from xml.etree import ElementTree

from setuptools import find_packages, setup

package_name = "exoactor_control"

setup(
    name=package_name,
    version=ElementTree.parse("package.xml").findtext("version"),
    description="Rehearse the G1's motion, then track it on the robot, safely",
    license="Apache-2.0",
    packages=find_packages(include=[package_name, f"{package_name}.*"]),
    package_data={package_name: ["policies/*", "py.typed"]},
    python_requires=">=3.11,<3.13",
    install_requires=["exoactor_core", "exoactor_unitree", "onnxruntime"],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    entry_points={
        "console_scripts": ["controller = exoactor_core.entry:controller", "rehearsal = exoactor_core.entry:rehearsal"],
        "exoactor.track": ["mujoco = exoactor_control.rehearsal.rehearsal:Rehearsal"],
    },
)
