"""Inference: models, scores, alerts and their events, as pure functions over features."""
