"""Workspace, stages, lineage keys and the runner."""
