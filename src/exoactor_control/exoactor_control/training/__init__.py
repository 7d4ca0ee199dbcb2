"""Training a tracker in MuJoCo: imitation of teachers, then reinforcement learning, on generated references."""
