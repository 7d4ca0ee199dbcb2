from glob import glob
from xml.etree import ElementTree

from setuptools import find_packages, setup

package_name = "exoactor_description"

setup(
    name=package_name,
    version=ElementTree.parse("package.xml").findtext("version"),
    description="The Unitree G1 as one URDF of primitive shapes",
    license="Apache-2.0",
    packages=find_packages(include=[package_name, f"{package_name}.*"]),
    package_data={package_name: ["py.typed", "urdf/*"]},
    python_requires=">=3.11,<3.13",
    install_requires=[],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
        (f"share/{package_name}/urdf", glob(f"{package_name}/urdf/*")),
    ],
    entry_points={},
)
