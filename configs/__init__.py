"""Hydra groups, as YAML files; installed as gapfc.configs."""
