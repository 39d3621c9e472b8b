"""Tools for developers of a sensor-streams project: command line, demo, simulator, workspace preflight."""
