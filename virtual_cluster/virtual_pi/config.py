"""What the laboratory tells the virtual Pis: the API server, the keys to use, the Pis to play."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Pi:
    """One virtual Pi. ``cpus`` is its CPU budget in cores (0.5 = half a core), ``address`` a loopback IP."""

    name: str
    address: str
    cpus: float
    memory_bytes: int
    architecture: str
    server: bool


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration; paths are absolute, ``pis`` holds up to 300 Pis."""

    server: str
    ca: Path
    client_cert: Path
    client_key: Path
    serving_cert: Path
    serving_key: Path
    client_ca: Path
    control_socket: Path
    dir: Path
    kubernetes_version: str
    pis: tuple[Pi, ...]


def load_config(path: Path) -> Config:
    """Read the JSON file; ValueError (one line) when it is unreadable or a key is missing or unknown."""
    try:
        data = json.loads(path.read_text())
        pis = tuple(Pi(**pi) for pi in data.pop("pis"))
        server, version = data.pop("server"), data.pop("kubernetes_version")
        paths = {key: Path(value) for key, value in data.items()}
        return Config(server=server, kubernetes_version=version, pis=pis, **paths)
    except (OSError, TypeError, KeyError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not a virtual Pi configuration: {error}") from error
