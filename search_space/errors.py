"""The one error for what a user can mend: a wrong name, key, value or file."""

import errno

FULL = {errno.ENOSPC, errno.EDQUOT}  # of an `OSError` that is nobody's mistake: the disk is full


class InputError(ValueError):
    """A user's mistake, told in one line that names what was given and what is allowed."""


class RunError(RuntimeError):
    """A fault that isn't in what the user wrote, told in one line all the same."""


def one_of(kind: str, value: object, allowed: object) -> InputError:
    """An `InputError` for a value outside a known set, with the nearest allowed name."""
    from difflib import get_close_matches

    names = [str(name) for name in allowed]  # type: ignore[attr-defined]
    near = get_close_matches(str(value), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return InputError(f"{kind} {value!r} is not known{hint} (allowed: {', '.join(names)})")
