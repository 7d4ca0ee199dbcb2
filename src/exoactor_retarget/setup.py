from xml.etree import ElementTree

from setuptools import find_packages, setup

package_name = "exoactor_retarget"

setup(
    name=package_name,
    version=ElementTree.parse("package.xml").findtext("version"),
    description="Fit the person's motion to the G1",
    license="Apache-2.0",
    packages=find_packages(include=[package_name, f"{package_name}.*"]),
    package_data={package_name: ["py.typed", "mapping/*.yaml", "mapping/*.urdf", "mapping/*.srdf"]},
    python_requires=">=3.11,<3.13",
    install_requires=["exoactor_core"],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    entry_points={
        "console_scripts": ["retargeter = exoactor_core.entry:retargeter"],
        "exoactor.retarget": ["trajectory_ik = exoactor_retarget.retargeter:Retargeter"],
    },
)
