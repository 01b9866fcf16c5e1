"""How long the rest of a run will take."""

import time
from collections.abc import Callable


class TimeLeft:
    """From the batches and the pauses between epochs that this process has seen.

    A pause is validation and saving. What was trained before a run was resumed does not count: it
    may have been on another machine.

    Args:
        epochs: that the run will have.
        clock: seconds.
    """

    def __init__(self, epochs: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._epochs = epochs
        self._clock = clock
        self._then: float | None = None  # when the last batch was done
        self._epoch = self._done = self._total = 0
        self._batches, self._training = 0, 0.0  # within epochs, and their seconds
        self._pauses, self._pausing = 0, 0.0  # with the first batches of the next epoch
        self._after_pauses = 0  # those batches

    def batch(self, epoch: int, done: int, total: int) -> None:
        """`done` of the `total` batches of `epoch` (counted from 0) have been trained on."""
        now = self._clock()
        if self._then is not None and epoch == self._epoch:
            self._batches += done - self._done
            self._training += now - self._then
        elif self._then is not None:
            self._pauses += 1
            self._pausing += now - self._then
            self._after_pauses += done
        self._then, self._epoch, self._done, self._total = now, epoch, done, total

    def within(self) -> float | None:
        """Seconds left, in the middle of an epoch; None if that cannot be told yet."""
        return self._seconds(self._epochs - self._epoch, 0.0)

    def after(self, epoch: int) -> float | None:
        """Seconds left after the validation of `epoch` (counted from 1); None as above."""
        if epoch >= self._epochs:
            return 0.0
        if self._then is None:
            return None
        return self._seconds(self._epochs - epoch, self._clock() - self._then)

    def _seconds(self, pauses: int, pause: float) -> float | None:
        """pauses: that are to come; pause: seconds of the present one, until there is a whole."""
        if not self._batches and not self._pauses:
            return None
        batch = self._training / self._batches if self._batches else 0.0
        if self._pauses:
            pause = max(0.0, self._pausing - self._after_pauses * batch) / self._pauses
        batches = (self._epochs - self._epoch) * self._total - self._done
        return batches * batch + pauses * pause
