"""The template of this project, and new projects made from it: `make template` and `make new`."""
