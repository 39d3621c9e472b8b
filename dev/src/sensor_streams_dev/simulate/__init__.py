"""Simulated fleet: files of readings, known failures, ground truth."""

from sensor_streams_dev.simulate.files import Simulation, SimulationReport, simulate

__all__ = ["Simulation", "SimulationReport", "simulate"]
