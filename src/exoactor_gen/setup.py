from xml.etree import ElementTree

from setuptools import find_packages, setup

package_name = "exoactor_gen"

setup(
    name=package_name,
    version=ElementTree.parse("package.xml").findtext("version"),
    description="Imagine the task: instruction to third-person video",
    license="Apache-2.0",
    packages=find_packages(include=[package_name, f"{package_name}.*"]),
    package_data={package_name: ["prompts/*", "py.typed"]},
    python_requires=">=3.11,<3.13",
    install_requires=["exoactor_core", "httpx2", "pydantic>=2", "pyyaml", "tenacity"],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    entry_points={
        "console_scripts": ["generator = exoactor_core.entry:generator"],
        "exoactor.generate": [
            "mannequin = exoactor_gen.mannequin.mannequin:Mannequin",
            "file = exoactor_gen.video_models.file:FilePlayer",
            "omni = exoactor_gen.video_models.providers:Omni",
            "veo = exoactor_gen.video_models.providers:Veo",
            "kling = exoactor_gen.video_models.providers:Kling",
            "sora = exoactor_gen.video_models.providers:Sora",
            "fal = exoactor_gen.video_models.providers:Fal",
            "replicate = exoactor_gen.video_models.providers:Replicate",
            "diffusers = exoactor_gen.video_models.diffusers_video:DiffusersVideo",
        ],
    },
)
