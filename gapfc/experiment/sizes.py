"""Whether a model takes all the image sizes that it is to be trained and measured at."""

from omegaconf import DictConfig

from gapfc import heads
from gapfc.data.settings import LoaderSettings
from gapfc.errors import UserError
from gapfc.model.build import dry_run
from gapfc.model.classifier import Classifier


def check_sizes(config: DictConfig, settings: LoaderSettings, model: Classifier) -> None:
    """Refuse image sizes that `model` does not take. Raises UserError."""
    dataset = config.dataset
    sizes = {"train_sizes": settings.train_sizes, "eval_sizes": settings.eval_sizes}
    many = [f"dataset.{key}={dataset[key]}" for key, given in sizes.items() if given]
    if settings.image_size is None:
        many.append("dataset.image_size=native")
    if many and not model.head.accepts_any_size:
        raise UserError(
            f"{' and '.join(many)}: several image sizes, but head={config.head.name} "
            "takes only the one it was built for. Heads that accept any: "
            f"{heads.names(lambda head: head.accepts_any_size)}."
        )
    for key, (height, width) in ((k, size) for k, given in sizes.items() for size in given):
        try:
            dry_run(model, (height, width))
        except UserError as error:
            raise UserError(f"dataset.{key} has {height}x{width}: {error}") from error
