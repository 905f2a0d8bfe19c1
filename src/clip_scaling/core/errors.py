"""Errors that a user can mend, told in one sentence."""

_LONGEST = {"where": 400, "what": 600, "mend": 1200}  # characters: a terminal's worth, whatever the input holds


class UserError(Exception):
    """Something the user can mend: what is wrong, where, and how to mend it.

    `clip-scaling` prints the sentence and ends with exit code 2; no traceback.
    """

    def __init__(self, what: str, *, where: object = None, mend: str | None = None):
        self.what, self.where, self.mend = what, where, mend
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        place = f"{short(self.where, _LONGEST['where'])}: " if self.where is not None else ""
        advice = f"; {short(self.mend, _LONGEST['mend'])}" if self.mend else ""
        return f"{place}{short(self.what, _LONGEST['what'])}{advice}"


def short(value: object, most: int = 60) -> str:
    """`value` in one line of at most `most` characters, without any that a terminal would obey."""
    text = str(value)
    if len(text) > most:
        kept = max(most - 3, 2)
        text = f"{text[:kept - kept // 3]}...{text[len(text) - kept // 3:]}"
    line = " ".join(text.split())
    return line if line.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in line)


def shortlist(names, most: int = 12) -> str:
    """The first `most` names, shortened, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(short(name) for name in names[:most]) + more
