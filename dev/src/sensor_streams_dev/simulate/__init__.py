"""A simulated fleet: readings as files that land, failures that are known, and the truth beside."""

from sensor_streams_dev.simulate.files import Simulation, SimulationReport, simulate

__all__ = ["Simulation", "SimulationReport", "simulate"]
