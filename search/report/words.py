"""Numbers as people read them."""


def duration(seconds: float) -> str:
    """Such as ``3 min 26 s``, ``2 h 5 min``, ``0.4 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def percent(share: float) -> str:
    """Such as ``35.9 %``."""
    return f"{100 * share:.1f} %"
