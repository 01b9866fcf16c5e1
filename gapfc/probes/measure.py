"""Probes of one model carried out, in the form that its run directory keeps."""

from collections.abc import Callable, Sequence
from typing import Any

from gapfc.engine.out_of_memory import is_out_of_memory
from gapfc.errors import UserError
from gapfc.probes.registry import PROBES
from gapfc.probes.subject import Subject, right
from gapfc.records.probes import CLEAN, Probes

Begin = Callable[[str, int], None]


def measure(
    subject: Subject,
    names: Sequence[str],
    name: str,
    begin: Begin = lambda probe, number: None,
) -> tuple[Probes, dict[str, str]]:
    """What the probes `names` find, and clean.accuracy, of the same images as they are.

    Args:
        subject: the model and the images.
        names: of probes in the registry.
        name: of the data set.
        begin: is told each probe and its number, from 0, before it begins.

    Returns:
        The findings; and by probe why it could not be carried out, in a line that names it.
    """
    values: dict[str, Any] = {"clean": {"accuracy": subject.clean["accuracy"]}}
    yes = {CLEAN: right(subject.clean)[None]}
    problems = {}
    for number, probe in enumerate(names):
        begin(probe, number)
        try:
            finding = PROBES[probe].measure(subject)
        except UserError as error:
            problems[probe] = str(error)
            continue
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            problems[probe] = (
                f"probe {probe}: there is not enough memory; with fewer images at a time there "
                "may be: "
                f"trainer.eval_batch_size={max(1, subject.loader.settings.eval_batch_size // 4)}"
            )
            continue
        values[probe] = finding.values
        yes |= {f"{probe}.{path}": bits for path, bits in finding.yes.items()}
    places = subject.images.places.numpy()
    data = {"name": name, "split": subject.split, "images": len(places)}
    return Probes(data, values, places, yes), problems


def merged(old: Probes | None, new: Probes) -> Probes:
    """Both; `new` alone where `old` is of other images, and where both have a probe."""
    if old is None or old.data != new.data or old.index.tolist() != new.index.tolist():
        return new
    kept = {
        metric: bits for metric, bits in old.yes.items() if metric.split(".")[0] not in new.values
    }
    return Probes(new.data, {**old.values, **new.values}, new.index, {**kept, **new.yes})
