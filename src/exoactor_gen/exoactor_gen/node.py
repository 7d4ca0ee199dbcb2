"""The node ``generator``: action generate_video; shows the generated video on video/image/compressed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from exoactor_interfaces.action import GenerateVideo
from sensor_msgs.msg import CompressedImage

from exoactor_core.stages import GenerateRequest, Generation, Generator
from exoactor_gen.video_judge.judge import Judge, Judged
from exoactor_ros.conversions import (
    human_to_message,
    image_from_message,
    image_to_message,
    jpeg_message,
    plan_from_message,
    plan_to_message,
    scene_from_message,
    set_interaction,
    video_to_message,
)
from exoactor_ros.qos import LATEST
from exoactor_ros.replay import Replay
from exoactor_ros.spin import run
from exoactor_ros.stage_node import StageNode


def to_request(goal: GenerateVideo.Goal) -> GenerateRequest:
    """Convert a goal to the stage's input."""
    return GenerateRequest(
        goal.instruction,
        image_from_message(goal.scene_image),
        plan_from_message(goal.plan_json),
        goal.attempt,
        scene=scene_from_message(goal.scene),
    )


def fill(result: GenerateVideo.Result, generation: Generation) -> None:
    """Fill the result from the stage's output."""
    result.video = video_to_message(generation.video)
    result.truth = human_to_message(generation.truth)
    result.others = [video_to_message(video) for video in generation.others]
    result.image = image_to_message(generation.image)
    result.plan_json = plan_to_message(generation.plan)
    set_interaction(result, generation.interaction)


class GeneratorNode(StageNode):
    """Serves generate_video, judges each video, and plays the last one while there are subscribers.

    Notes
    -----
    ROS parameters: those of `StageNode`, and ``judge.<option>`` for the options of `Judge`.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__(
            "generator",
            stage="generate",
            backend="mannequin",
            action_type=GenerateVideo,
            action_name="generate_video",
            error_base=200,
            to_input=to_request,
            fill=fill,
            **node_options,
        )
        self._images = self.create_publisher(CompressedImage, "video/image/compressed", LATEST)
        self._replay = Replay(self, self._publish, lambda: self._images.get_subscription_count() > 0)

    def wrap_backend(self, backend: Generator) -> Judged:
        """Combine the backend with its judge."""
        return Judged(backend, Judge(**self.options("judge", Judge)))

    def feedback_options(self, publish_feedback: Callable[..., None]) -> dict[str, Any]:
        """Publish the plan and the job of a video service as feedback, if the backend has them."""

        def on_job(job: dict[str, Any]) -> None:
            publish_feedback(text=f"The job is {job['job']}", job_json=json.dumps(job))

        def on_plan(plan: dict[str, Any]) -> None:
            steps = ", then ".join(action["description"] for action in plan["actions"])
            publish_feedback(text=f"Plan: {steps}", plan_json=plan_to_message(plan))

        return {"on_plan": on_plan, "on_job": on_job}

    def on_output(self, output: Generation) -> None:
        """Play the video from now on."""
        self._replay.show(output.video.frames, output.video.fps)

    def _publish(self, image: np.ndarray) -> None:
        self._images.publish(jpeg_message(image, self.get_clock().now().to_msg()))


def main() -> None:
    """Entry point of the node."""
    run(GeneratorNode)
