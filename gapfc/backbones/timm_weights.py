"""Weights for timm models: timm's own, or from a file."""

import logging
import re
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
from torch import Tensor, nn

from gapfc.backbones.efficientnet_names import as_timm
from gapfc.backbones.weight_files import copy_weights, read_file
from gapfc.errors import UserError
from gapfc.formatting import first_line, printable

log = logging.getLogger(__name__)

# Under which keys training checkpoints keep weights, as timm itself looks for them.
_ENTRIES = ("state_dict_ema", "model_ema", "state_dict", "model")
# What timm's models have behind the last feature map, beside what their configuration names.
AFTER = frozenset(
    ("head", "head_dist", "head_fc", "fc", "fc_norm", "classifier", "classif", "last_linear")
) | {"aux_head", "attn_pool", "pre_logits", "conv_head", "norm_head"}
# What a file of a whole trained model puts before the backbone's names.
_WRAPPERS = re.compile(r"^(module|model|backbone|encoder|trunk|_orig_mod)\.")


def read_weights(weights: str, name: str) -> dict[str, Tensor]:
    """The tensors behind `backbone.weights`: a file, or DEFAULT, timm's own for the model `name`.

    Raises:
        UserError: if there is no such file, timm has none or cannot get them, or the file holds no
            weights.
    """
    path = Path(weights).expanduser()
    if path.is_file():
        return read_file(path, _ENTRIES)
    if weights == "DEFAULT":
        return _download(name)
    raise UserError(
        f"backbone.weights={printable(weights)}: there is no such file. It takes null, DEFAULT "
        "(timm's own; other ones of the same model by its name, such as "
        "backbone.name=resnet50.a1_in1k), or the path of a .safetensors or .pth file."
    )


def _download(name: str) -> dict[str, Tensor]:
    place = timm.get_pretrained_cfg(name)
    known = timm.list_pretrained(f"{name.partition('.')[0]}*")
    if place is None or not place.has_weights:
        has = f"It has some for {', '.join(known[:4])}." if known else "It has none of its kind."
        raise UserError(f"backbone.weights=DEFAULT: timm has no weights for {name}. {has}")
    hub = place.hf_hub_id
    url = f"https://huggingface.co/{hub}/resolve/main/model.safetensors" if hub else place.url
    try:
        # The whole model: only then does timm check that its file has every key.
        return dict(timm.create_model(name, pretrained=True).state_dict())
    except Exception as error:  # whatever hub, network and file system have to say
        reason = textwrap.shorten(first_line(str(error)), 150, placeholder=" …")
        reason = printable(reason) or type(error).__name__
        raise UserError(
            f"backbone.weights=DEFAULT: timm could not get the weights of {name} ({reason}). Fetch "
            f"{url} elsewhere and set backbone.weights=<path to it>, or backbone.weights=null."
        ) from error


def fitted(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """`state` under the names that `model`, as timm made it, has for its tensors.

    What wraps all names is taken off; efficientnet_pytorch's names are translated; then, where
    names still differ, timm is asked what it makes of files of this family's authors.
    """
    own = model.state_dict()
    found = dict(state)
    if isinstance(model, timm.models.EfficientNet):
        found = as_timm(found, [len(list(stage.children())) for stage in model.blocks.children()])
    while not own.keys() & found.keys() and all(map(_WRAPPERS.match, found)):
        found = {_WRAPPERS.sub("", key): value for key, value in found.items()}
    translate = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if translate is not None and _misfits(own, found):
        try:
            translated: Any = translate(dict(found), model)
        except Exception:  # made for other files than this one; what does not fit is told by name
            translated = None
        if isinstance(translated, Mapping) and _misfits(own, translated) < _misfits(own, found):
            found = dict(translated)
    if "norm.weight" in own and "norm.weight" not in found and "fc_norm.weight" in found:
        log.info("timm normalises after the pool (fc_norm); here it is each token, before any pool")
        found = {re.sub(r"^fc_norm\.", "norm.", key): value for key, value in found.items()}
    return found


def load(
    own: Mapping[str, Tensor], state: Mapping[str, Tensor], config: Mapping[str, Any], source: str
) -> None:
    """Copy `state`, as `fitted` gives it, into a model's tensors up to its last feature map, `own`.

    config: timm's `pretrained_cfg`, which names the classifier. source: as the user gave it.
    Raises UserError for keys that do not fit.
    """
    classifier = config.get("classifier") or ()
    names = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    unused = AFTER | {name.partition(".")[0] for name in names}
    copy_weights(own, state, unused - {key.partition(".")[0] for key in own}, source)


def _misfits(own: Mapping[str, Tensor], state: Mapping[str, Any]) -> int:
    """How many tensors up to the last map only one of both has, or each in another shape."""
    before = [key for key in {**own, **state} if key.partition(".")[0] not in AFTER]
    return sum(
        key not in own or key not in state or own[key].shape != state[key].shape for key in before
    )
