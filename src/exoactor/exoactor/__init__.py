"""Common ground of the ExoActor stages: motion types, body and robot models, files, and the ROS glue."""
