from xml.etree import ElementTree

from setuptools import find_packages, setup

package_name = "exoactor_pose"

setup(
    name=package_name,
    version=ElementTree.parse("package.xml").findtext("version"),
    description="Read the person's motion out of a video",
    license="Apache-2.0",
    packages=find_packages(include=[package_name, f"{package_name}.*"]),
    package_data={package_name: ["py.typed"]},
    python_requires=">=3.11,<3.13",
    install_requires=["exoactor_core", "threadpoolctl"],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    entry_points={
        "console_scripts": ["pose_estimator = exoactor_core.entry:pose_estimator"],
        "exoactor.estimate": [
            "mediapipe = exoactor_pose.estimator:MediapipeEstimator",
            "external = exoactor_pose.external:ExternalEstimator",
            "file = exoactor_pose.file:FileReader",
            "vitpose = exoactor_pose.vitpose:VitposeEstimator",
        ],
        "exoactor.people": ["mediapipe = exoactor_pose.detection.figures:MediapipePeople"],
    },
)
