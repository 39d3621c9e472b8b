"""The template of this project: `make template` builds it, `make new` makes a project of it. See docs/new-project.md."""
