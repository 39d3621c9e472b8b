"""Sensor data to features, scores and alerts: eight Structured Streaming queries on Delta."""
