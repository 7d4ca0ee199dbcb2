"""A MuJoCo G1 behind Unitree's DDS topics."""
