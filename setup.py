"""The packages, which pyproject.toml cannot both find and map; all else stands there."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["gapfc", "gapfc.*"]), "gapfc.configs"])
