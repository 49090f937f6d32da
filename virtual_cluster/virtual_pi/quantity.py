"""Kubernetes quantities, as far as CPU needs them."""

_SUFFIXES = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3}


def cores(quantity: str | int | float) -> float:
    """``"500m"`` → 0.5 cores; the API server has already refused malformed ones."""
    text = str(quantity)
    factor = _SUFFIXES.get(text[-1:])
    return float(text) if factor is None else float(text[:-1]) * factor


def quantity(cores: float) -> str:
    """0.5 cores → ``"500m"``."""
    return f"{round(cores * 1000)}m"
