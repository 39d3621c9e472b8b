"""The incident lab of this project: shapes, incidents, and the truth about its tables."""
