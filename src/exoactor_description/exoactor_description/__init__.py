"""The Unitree G1 as one URDF of primitive shapes."""
