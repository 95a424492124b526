"""Which images of earlier versions can go, and how many bytes that gives back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from sparkqfs.amounts import amount
from sparkqfs.facts.images import HeldImage

REGISTRY = "the registry"
"""No node can be called that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaning:
    """What is removed in one place."""

    place: str
    images: tuple[HeldImage, ...]
    stays: tuple[HeldImage, ...]
    """What is there besides."""

    @property
    def size(self) -> int:
        """Bytes that only these images have there."""
        return freed(self.images, self.stays)

    def only(self, images: Iterable[HeldImage]) -> Cleaning:
        """Of these images; the others stay."""
        chosen = tuple(images)
        left = tuple(image for image in self.images if image not in chosen)
        return replace(self, images=chosen, stays=(*self.stays, *left))


def plan_clean(
    images: Sequence[HeldImage], *, current: Iterable[str], used: Iterable[str], everything: bool
) -> tuple[Cleaning, ...]:
    """A place for each that has something to remove; places in the order of `images`.

    Of each repository in each place these stay: what this version's stack is made of (`current`), or, where that is not
    there, the newest image; what a service names (`used`) or a container has, there or on another machine; what another
    image that stays is built on; and, but for `everything`, the newest one besides, the previous version. What is not
    ours stays everywhere.
    """
    now = _with_digests(current, images)
    named = _with_digests({*used, *(name for image in images if image.in_use for name in image.names)}, images)
    found = []
    for place, here in groupby(images, key=lambda image: image.place):
        of_place = tuple(here)
        kept = _kept(of_place, now, named, everything)
        gone = tuple(image for image in of_place if image not in kept)
        if gone:
            found.append(Cleaning(place=place, images=gone, stays=tuple(kept)))
    return tuple(found)


def agreed(first: Sequence[Cleaning], second: Sequence[Cleaning]) -> tuple[Cleaning, ...]:
    """What was shown in the first look and can still go in the second: the same images, by the same names."""
    shown = {(one.place, image.id, image.names) for one in first for image in one.images}
    found = (one.only(image for image in one.images if (one.place, image.id, image.names) in shown) for one in second)
    return tuple(one for one in found if one.images)


def _with_digests(names: Iterable[str], images: Sequence[HeldImage]) -> set[str]:
    """And what else the same images are called, above all in the registry: an engine that pulled one by its digest
    knows it by that alone."""
    known = set(names)
    return known | {name for image in images if not known.isdisjoint(image.names) for name in image.names}


def _kept(images: Sequence[HeldImage], current: set[str], used: set[str], everything: bool) -> list[HeldImage]:
    wanted = current | used
    kept = [image for image in images if not image.is_ours or image.in_use or not wanted.isdisjoint(image.names)]
    has_now = {image.repository for image in images if not current.isdisjoint(image.names)}
    ours = [image for image in images if image.is_ours]
    for repository in {image.repository for image in ours}:
        newest = sorted((one for one in ours if one.repository == repository), key=lambda one: -one.made)
        of_now = [image for image in newest if not current.isdisjoint(image.names)]
        of_now = of_now if repository in has_now else newest[:1]
        earlier = [image for image in newest if image not in of_now]
        kept += of_now + ([] if everything else earlier[:1])
    below = [image for image in images if any(_is_below(image, other) for other in kept)]
    return [image for image in images if image in kept or image in below]


def _is_below(image: HeldImage, other: HeldImage) -> bool:
    """Whether `other` is built on it: an engine does not remove it then."""
    if image.place == REGISTRY or image is other or not image.layers:
        return False
    return other.layers[: len(image.layers)] == image.layers


def freed(gone: Iterable[HeldImage], kept: Iterable[HeldImage]) -> int:
    """Bytes of layers that are in none of those that stay."""
    staying = {layer.key for image in kept for layer in image.layers}
    sizes = {layer.key: layer.size for image in gone for layer in image.layers}
    return sum(size for key, size in sizes.items() if key not in staying)


def size_text(size: int) -> str:
    """Bytes for people, exactly and in a unit."""
    return f"{size:,} bytes ({size / 2**30:.2f} GiB)" if size >= 2**20 else amount(size, "byte")
