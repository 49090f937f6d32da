"""Kubernetes' way to write points in time (RFC 3339, UTC); inside this package they are epoch seconds."""

from datetime import UTC, datetime


def rfc3339(epoch_seconds: float) -> str:
    """metav1.Time: whole seconds."""
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(epoch_seconds: float) -> str:
    """metav1.MicroTime: microseconds, as Leases want them."""
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def epoch_seconds(text: str) -> float:
    """Read back what the API server sent."""
    return datetime.fromisoformat(text).timestamp()
