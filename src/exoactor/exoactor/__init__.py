"""The application: command line, task server, node graph, pipeline."""

from importlib.metadata import version

__version__ = version("exoactor")
