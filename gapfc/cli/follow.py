"""What a rank does that is not the first: what rank 0 orders, until it is gone."""

import logging
import os
import sys
import time
import traceback

from omegaconf import DictConfig, OmegaConf

from gapfc.engine.losses import Diverged
from gapfc.errors import UserError
from gapfc.experiment.experiment import Experiment
from gapfc.experiment.take_part import take_part
from gapfc.ranks import team
from gapfc.settings.explain import explain_in_run
from gapfc.settings.trust import Vouched
from gapfc.system import launched
from gapfc.system.allocator import keep_freed_memory
from gapfc.system.interruption import Interrupted
from gapfc.system.parent import once_gone

_NOTICES = 10  # seconds in which a rank notices by itself that rank 0 is gone


def follow() -> int:
    """Take part in runs; returns 0, or 1 if this rank has met what rank 0 has not."""
    logging.disable()  # rank 0 says it
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (for the life of the process)
    try:
        group = team.follow()
    except (UserError, RuntimeError) as error:  # RuntimeError: torch's own
        print(f"gapfc: error: rank {os.environ['RANK']}: {error}", file=sys.__stderr__)
        return 1
    if group is None:
        return 0
    _end_with_the_first()
    keep_freed_memory()
    # Rank 0 has admitted what it sends, by what its user vouches for.
    vouched = Vouched(everything=True)
    for order in group.orders():
        group.images = order["images"]
        config = OmegaConf.create(order["config"])
        assert isinstance(config, DictConfig)
        config.trainer.progress = False
        try:
            _carry_out(order["command"], config, vouched)
        except (Interrupted, Diverged):
            continue  # so has rank 0, which tells
        except Exception as error:
            if team.is_loss(error):
                os._exit(launched.LOST)
            reason = explain_in_run(error)
            group.say_last(reason or f"{type(error).__name__}: {error}")
            if reason is None:  # a bug of ours
                traceback.print_exc(file=sys.__stderr__)
            os._exit(1)  # nobody is left with whom to end in order
    group.close()
    if launched.by_submitit():
        return 0  # it waits for the result of every task
    os._exit(0)  # the loader is forgotten after each run: Python has nothing to end in order


def _end_with_the_first() -> None:
    """End this process when rank 0 is gone that has started it: on a GPU it may never notice."""
    if launched.PORT not in os.environ:
        return  # torchrun ends all

    def leave() -> None:
        time.sleep(_NOTICES)
        os._exit(launched.LOST)

    once_gone(os.getppid(), leave)


def _carry_out(command: str, config: DictConfig, vouched: Vouched) -> None:
    """This rank's part of what `config`, which a command has completed, describes."""
    if command == "inspect":
        from gapfc.inspection.cost import measure_cost

        measure_cost(config)
    elif command == "train":
        take_part(Experiment(config))
    else:
        from gapfc.transfer.rebuilt import rebuilt

        take_part(rebuilt(config, vouched, where="rank 0"))
