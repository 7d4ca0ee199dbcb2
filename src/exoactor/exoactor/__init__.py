"""The application: command line, task server, node graph, pipeline."""
