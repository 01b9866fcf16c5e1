"""A classifier is a backbone and a head, built to fit."""

from gapfc.model.classifier import Classifier

__all__ = ["Classifier"]
