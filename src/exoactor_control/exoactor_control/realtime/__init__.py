"""The 500 Hz loop between the controller and the robot, and the process that it runs in."""
