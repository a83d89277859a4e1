"""Answers that came after their deadline, kept for who asks again under the same key: they are paid for."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor

from bl_neuro.deploy.serve.ledger import Charge


class LostAnswers:
    """The last answers that nobody took, `most` bytes of them; the oldest go first."""

    def __init__(self, most: int = 16 * 2**20) -> None:
        self._most, self._bytes = most, 0
        self._answers: OrderedDict[tuple[str, str, bytes], Tensor] = OrderedDict()

    def keep(self, charge: Charge, answer: Tensor) -> None:
        """Of a charge with a key."""
        if charge.key is None:
            return
        name = (charge.client, charge.key, charge.digest)
        self._drop(name)
        self._answers[name] = answer.clone()  # not a view of its whole batch
        self._bytes += answer.nbytes
        while self._bytes > self._most:
            self._drop(next(iter(self._answers)))

    def take(self, charge: Charge) -> Tensor | None:
        """The answer to this charge, if it was lost and is still here."""
        if charge.key is None:
            return None
        return self._drop((charge.client, charge.key, charge.digest))

    def _drop(self, name: tuple[str, str, bytes]) -> Tensor | None:
        answer = self._answers.pop(name, None)
        if answer is not None:
            self._bytes -= answer.nbytes
        return answer
