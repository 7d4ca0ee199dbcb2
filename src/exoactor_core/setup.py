from xml.etree import ElementTree

from setuptools import find_packages, setup

package_name = "exoactor_core"

setup(
    name=package_name,
    version=ElementTree.parse("package.xml").findtext("version"),
    description="Motion and video types, stage contracts, errors, files, models and rendering; no ROS, no DDS",
    license="Apache-2.0",
    packages=find_packages(include=[package_name, f"{package_name}.*"]),
    package_data={package_name: ["py.typed"]},
    python_requires=">=3.11,<3.13",
    install_requires=[
        "exoactor_description",
        "numpy",
        "scipy",
        "av",
        "opencv-python-headless",
        "mujoco",
        "pin",
        "pyyaml",
        "annotated-types",
        "pydantic>=2",
    ],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
)
