"""Errors that a user can mend, told in one sentence."""


class UserError(Exception):
    """Something the user can mend: what is wrong, where, and how to mend it.

    `clip-scaling` prints the sentence and ends with exit code 2; no traceback.
    """

    def __init__(self, what: str, *, where: object = None, mend: str | None = None):
        self.what, self.where, self.mend = what, where, mend
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        place = f"{self.where}: " if self.where is not None else ""
        advice = f"; {self.mend}" if self.mend else ""
        return " ".join(f"{place}{self.what}{advice}".split())
