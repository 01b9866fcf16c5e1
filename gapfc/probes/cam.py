"""Where a head finds the evidence for the true class: in the object, or beside it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from gapfc.measure.activation_map import class_activation_map
from gapfc.model.classifier import Classifier
from gapfc.probes.boxes import boxed, boxes_in
from gapfc.probes.subject import Finding, Subject

ROUNDING = 1e-5  # pixels that differ by less, relative to the larger, are equal


def cam(subject: Subject) -> Finding:
    """The pointing game, for the class activation map of the true class, enlarged bilinearly.

    pointing: share of the images where the map's maximum lies in the object's box (Zhang et al.
        2016, arXiv:1608.00507, without their 15 pixels of tolerance).
    energy: share of the map that lies in the box (Wang et al. 2020, arXiv:1910.01279),
        mean over images.
    chance: share of the image that the box covers, mean over images: what a map that knows nothing
        gets of both.
    untrained: pointing of the same network as it was before training.

    Maps are exact for gap and nin, Grad-CAM for the other heads (see `class_activation_map`). What
    speaks against the class is left out; a map that has nothing for it is a miss, and its energy 0.

    Raises UserError where the data set does not say where its objects are.
    """
    boxed(subject, subject.split, "cam")
    points, energy, area = _play(subject, subject.model)
    untrained, _, _ = _play(subject, subject.untrained())
    values = {
        "pointing": _mean(points),
        "energy": _mean(energy),
        "chance": _mean(area),
        "untrained": _mean(untrained),
    }
    return Finding(values, {"pointing": points[None].numpy()})


def _play(subject: Subject, model: Classifier) -> tuple[Tensor, Tensor, Tensor]:
    """Of each of N images whether the map points into the box, and the box's share of map and area.

    On the CPU: bool, float32 and float32 [N].
    """
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    first = 0
    for images, labels in subject.loader.evaluation(subject.split):
        height, width = images.shape[-2:]
        boxes = boxes_in(subject, (height, width), "cam")[first : first + len(labels)]
        maps = class_activation_map(model.backbone, model.head, images, labels)
        maps = functional.interpolate(maps[:, None], size=(height, width), mode="bilinear")
        found.append(_score(maps[:, 0], boxes.to(maps.device)))
        first += len(labels)
    points, energy, area = (torch.cat(parts).cpu() for parts in zip(*found, strict=True))
    return points, energy, area


def _score(maps: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """maps: [B, h, w], none below 0; boxes: [B, 4]. A pixel is in a box if its centre is.

    Where several pixels share the maximum, as at a map's corner, which is enlarged to a plateau,
    the map points at the middle of them. The first of them would be nearer to the top left.
    """
    left, top, right, bottom = boxes.unbind(1)
    y, x = (torch.arange(n, device=maps.device) + 0.5 for n in maps.shape[1:])

    def within(places: Tensor, low: Tensor, high: Tensor) -> Tensor:
        return (places >= low[:, None]) & (places < high[:, None])

    inside = within(y, top, bottom)[:, :, None] & within(x, left, right)[:, None, :]
    largest = maps.amax((1, 2), keepdim=True)
    highest = (maps >= largest * (1 - ROUNDING)).float()
    count = highest.sum((1, 2))
    at_y, at_x = (highest.sum(2) @ y / count)[:, None], (highest.sum(1) @ x / count)[:, None]
    points = within(at_y, top, bottom) & within(at_x, left, right) & (largest[:, :, 0] > 0)
    total = maps.sum((1, 2)).clamp(min=torch.finfo(maps.dtype).tiny)
    return points[:, 0], (maps * inside).sum((1, 2)) / total, inside.float().mean((1, 2))


def _mean(values: Tensor) -> float:
    return float(values.double().mean())
