"""Images on a machine's engine and in the registry, with the bytes of their layers. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Bytes that several images may share. `key` is the same wherever the layer is the same."""

    key: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldImage:
    """An image of this cluster in one place."""

    place: str
    """A node's name, or the registry."""
    id: str
    """What the engine calls it; in the registry `repository:tag`."""
    names: tuple[str, ...]
    """With tag and with digest, as a stack may name it; none for what a build has left."""
    made: float
    """Seconds since the epoch; in the registry when it was pushed."""
    layers: tuple[Layer, ...]
    """From the lowest on."""
    in_use: bool = False
    """A container there has it, running or not."""
    is_ours: bool = True
    """It has names, and each is one that this cluster gives. Labels do not tell: what is built on it inherits them."""

    @property
    def repository(self) -> str:
        """Its name without tag and digest; empty for what a build has left."""
        return repository_of(self.names[0]) if self.names else ""

    @property
    def shown(self) -> str:
        """For people: the name with the tag, where there is one."""
        return next((name for name in self.names if "@" not in name), self.names[0] if self.names else self.id[:19])


def repository_of(name: str) -> str:
    """`host:5000/spark/worker-node:tag@sha256:x` → `host:5000/spark/worker-node`."""
    name = name.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]


def names_meant(reference: str) -> tuple[str, ...]:
    """A service's image may have tag and digest: either one names it."""
    plain, at, digest = reference.partition("@")
    return tuple(filter(None, (plain, f"{repository_of(plain)}@{digest}" if at else "")))


def parse_image(
    place: str,
    image: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    used_ids: Iterable[str],
    prefixes: tuple[str, ...],
) -> HeldImage:
    """An entry of the engine's `/images/json` with its `/history`; `prefixes` begin the names that this cluster gives.

    Raises `KeyError` or `ValueError`.
    """
    listed = [*(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ())]
    names = tuple(str(name) for name in listed if "<none>" not in str(name))
    return HeldImage(
        place=place,
        id=str(image["Id"]),
        names=names,
        made=float(image["Created"]),
        layers=_layers(history),
        in_use=str(image["Id"]) in set(used_ids),
        is_ours=bool(names) and all(name.startswith(prefixes) for name in names),
    )


def _layers(history: Sequence[Mapping[str, Any]]) -> tuple[Layer, ...]:
    """Each step that wrote something. An image has the steps of the one that it is built on, with their times."""
    found: list[Layer] = []
    key = hashlib.sha256()
    for step in reversed(history):
        size = int(step.get("Size") or 0)
        key.update(repr((step.get("Created"), step.get("CreatedBy"), size)).encode())
        if size > 0:
            found.append(Layer(key=key.hexdigest(), size=size))
    return tuple(found)


def parse_tags(text: str, address: str, cluster: str, place: str) -> tuple[HeldImage, ...]:
    """What remote/list_tags.sh prints: all images in the registry. Another cluster's, and one whose link cannot be
    understood, is not ours; its layers stay."""
    found: list[HeldImage] = []
    tag: list[str] | None = None
    layers: list[Layer] = []

    def take() -> None:
        if tag is None:
            return
        name, made, digest = tag
        repository = name.rpartition(":")[0]
        names = (f"{address}/{name}", *((f"{address}/{repository}@sha256:{digest}",) if digest else ()))
        is_ours = bool(digest) and repository.startswith(f"{cluster}/")
        of = tuple(layers)
        found.append(HeldImage(place=place, id=name, names=names, made=float(made), layers=of, is_ours=is_ours))

    for line in text.splitlines():
        kind, _, rest = line.partition("\t")
        words = rest.split("\t")
        if kind == "tag" and len(words) == 3:
            take()
            tag, layers = words, []
        elif kind == "other" and len(words) == 1:
            take()
            tag, layers = [words[0], "0", ""], []
        elif kind == "blob" and len(words) == 2:
            layers.append(Layer(key=words[0], size=int(words[1])))
    take()
    return tuple(found)
