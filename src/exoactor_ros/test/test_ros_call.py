import time
from typing import Any

from exoactor_interfaces.action import RetargetMotion
from rclpy.action import ActionServer

from exoactor_ros.action_client import Client
from ros_testing import finished, spinning


class SlowHandle:
    """rclpy's handle of an action client, on which the answer is there before the asking is over."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._handle, name)
        if not name.startswith("send_"):
            return value

        def slow(*args: Any) -> Any:
            number = value(*args)
            time.sleep(0.3)
            return number

        return slow

    def __enter__(self) -> Any:
        return self._handle.__enter__()

    def __exit__(self, *args: Any) -> None:
        self._handle.__exit__(*args)


def test_answers_that_come_at_once_are_not_lost():
    def serve(goal: Any) -> Any:
        goal.succeed()
        return RetargetMotion.Result(error_code=RetargetMotion.Result.NONE, error_msg="done")

    with spinning() as (node,):
        server = ActionServer(node, RetargetMotion, "at_once", serve)
        client = Client(node, RetargetMotion, "at_once")
        assert client.wait_for_server(10.0)
        client._client_handle = SlowHandle(client._client_handle)
        handle = finished(client.send_goal_async(RetargetMotion.Goal()), 5.0)
        assert finished(handle.get_result_async(), 5.0).result.error_msg == "done"
        finished(handle.cancel_goal_async(), 5.0)
        server.destroy()
