"""plan/cluster/clean.py: which images of earlier versions can go, and what that gives back."""

from __future__ import annotations

import pytest

from sparkqfs.facts.images import HeldImage, Layer, names_meant, parse_image, parse_tags, repository_of
from sparkqfs.plan.cluster.clean import REGISTRY, agreed, plan_clean, size_text

R = "m:5000/spark/worker-node"


def an_image(tag: str, made: float, *layers: tuple[str, int], place: str = "node1", **more: object) -> HeldImage:
    name = tag if "/" in tag else f"{R}:{tag}"
    values: dict[str, object] = {"names": (name,) if tag else (), "in_use": False} | more
    made_of = tuple(Layer(key=key, size=size) for key, size in layers)
    return HeldImage(place=place, id=f"{place}-{tag}-{made}", made=made, layers=made_of, **values)  # type: ignore[arg-type]


BASE = ("base", 100)
PREFIXES = ("m:5000/spark/", "sparkqfs/")


def gone(*images: HeldImage, current: str = "5", used: tuple[str, ...] = (), everything: bool = False) -> list[str]:
    names = {f"{R}:{current}"} if current else set()
    found = plan_clean(images, current=names, used=used, everything=everything)
    return [image.shown.rpartition(":")[2] for one in found for image in one.images]


def test_this_version_and_the_previous_one_stay_and_with_all_only_this_one() -> None:
    images = [an_image(str(number), number, BASE, (f"l{number}", 7)) for number in (1, 3, 4, 5)]
    assert gone(*images) == ["1", "3"]
    assert gone(*images, everything=True) == ["1", "3", "4"]
    (cleaning,) = plan_clean(images, current={f"{R}:5"}, used=(), everything=True)
    assert cleaning.size == 21
    assert gone(*[image for image in images if image.names != (f"{R}:1",)][1:]) == []


def test_what_runs_or_is_named_by_a_service_stays_with_all_too() -> None:
    images = [
        an_image("1", 1, BASE, in_use=True),
        an_image("2", 2, BASE, ("b", 1)),
        an_image("3", 3, BASE, ("c", 1)),
        an_image("5", 5, BASE, ("e", 1)),
    ]
    assert gone(*images, used=(f"{R}:2",), everything=True) == ["3"]


def test_what_a_container_has_on_one_machine_stays_on_the_others_and_in_the_registry() -> None:
    images = [
        an_image("1", 1, BASE, in_use=True),
        an_image("5", 5, BASE, ("e", 1)),
        an_image("1", 1, BASE, place=REGISTRY),
        an_image("2", 2, BASE, place=REGISTRY),
        an_image("5", 5, BASE, place=REGISTRY),
    ]
    assert gone(*images, everything=True) == ["2"]


def test_where_this_version_is_not_the_newest_image_is_taken_for_it() -> None:
    images = [an_image(str(number), number, BASE, (f"l{number}", 7)) for number in (1, 2, 3)]
    assert gone(*images) == ["1"]
    assert gone(*images, current="", everything=True) == ["1", "2"]


def test_an_image_that_another_one_is_built_on_stays_with_it() -> None:
    images = [
        an_image("1", 1, BASE, ("a", 1)),
        an_image("4", 4, BASE, ("plain", 5)),
        an_image("5", 5, BASE, ("plain", 5), ("packages", 9)),
    ]
    assert gone(*images, everything=True) == ["1"]


def test_what_is_not_ours_stays_with_its_layers_and_is_never_taken_for_a_version() -> None:
    images = [
        an_image("", 9, BASE, ("left", 50), is_ours=False),
        an_image("9", 9, BASE, ("mine", 5), names=(f"{R}:9", "mine:1"), is_ours=False),
        an_image("5", 5, BASE, ("e", 1)),
        an_image("4", 4, BASE, ("d", 1)),
        an_image("3", 3, BASE, ("left", 50), ("c", 2)),
    ]
    assert gone(*images) == ["3"]
    (cleaning,) = plan_clean(images, current={f"{R}:5"}, used=(), everything=True)
    assert [image.made for image in cleaning.images] == [4, 3] and cleaning.size == 3
    assert gone(*images, current="9", everything=True) == ["5", "4", "3"]


@pytest.mark.parametrize(
    ("tags", "digests", "is_ours"),
    [
        ([f"{R}:1"], [f"{R}@sha256:a"], True),
        (["<none>:<none>"], [f"{R}@sha256:a"], True),
        (["sparkqfs/registry:1"], [], True),
        ([f"{R}:1", "mine:1"], [], False),
        ([f"{R}:1"], ["docker.io/me/mine@sha256:a"], False),
        (["m:5000/sparkling/worker-node:1"], None, False),
        (["sparkqfs-mine:1"], None, False),
        (["<none>:<none>"], ["<none>@<none>"], False),
        (None, None, False),
    ],
)
def test_only_an_image_all_of_whose_names_this_cluster_gives_is_ours(
    tags: list[str] | None, digests: list[str] | None, is_ours: bool
) -> None:
    entry = {"Id": "sha256:1", "RepoTags": tags, "RepoDigests": digests, "Created": 9}
    assert parse_image("n", entry, [], [], PREFIXES).is_ours is is_ours


def test_a_machine_that_pulled_by_digest_knows_this_version_by_the_registrys() -> None:
    pulled = {number: f"{R}@sha256:{number}" for number in (4, 5, 6)}
    on_worker = [an_image(name, made=9 - at, names=(name,)) for at, name in pulled.items()]
    in_registry = [
        an_image(str(at), at, place=REGISTRY, names=(f"{R}:{at}", name)) for at, name in pulled.items() if at != 6
    ]
    found = plan_clean([*on_worker, *in_registry], current={f"{R}:5"}, used={f"{R}:4"}, everything=True)
    assert [image.names for one in found for image in one.images] == [(pulled[6],)]


def test_only_what_both_looks_agree_on_goes() -> None:
    images = [an_image(str(number), number, BASE, (f"l{number}", 7)) for number in (1, 2, 3, 5)]
    (first,) = plan_clean(images, current={f"{R}:5"}, used=(), everything=True)
    later = [images[0], an_image("2", 2, names=(f"{R}:2", f"{R}:x")), an_image("4", 4, BASE), *images[2:]]
    second = plan_clean(later, current={f"{R}:5"}, used={f"{R}:3"}, everything=True)
    (both,) = agreed([first], second)
    assert both.images == (images[0],) and both.size == 7
    assert agreed([first], []) == () == agreed([], [first])


def test_each_repository_has_its_own_previous_version() -> None:
    images = [
        an_image("5", 5, BASE),
        an_image("4", 4, BASE, ("d", 1)),
        an_image("m:5000/spark/jupyter-server:9", 9, BASE, ("j", 1)),
        an_image("m:5000/spark/jupyter-server:8", 8, BASE, ("k", 1)),
        an_image("m:5000/spark/jupyter-server:7", 7, BASE, ("l", 1)),
    ]
    assert gone(*images) == ["7"]
    assert gone(*images, everything=True) == ["4", "8", "7"]


@pytest.mark.parametrize(
    ("reference", "names"),
    [
        ("m:5000/spark/w:1@sha256:a", ("m:5000/spark/w:1", "m:5000/spark/w@sha256:a")),
        ("m:5000/spark/w@sha256:a", ("m:5000/spark/w", "m:5000/spark/w@sha256:a")),
        ("m:5000/spark/w:1", ("m:5000/spark/w:1",)),
        ("", ()),
    ],
)
def test_a_service_names_an_image_by_tag_and_by_digest(reference: str, names: tuple[str, ...]) -> None:
    assert names_meant(reference) == names
    assert not reference or repository_of(reference) == "m:5000/spark/w"


def test_layers_are_known_by_all_steps_below_them() -> None:
    base = [{"Created": 2, "CreatedBy": "b", "Size": 5}, {"Created": 1, "CreatedBy": "a", "Size": 3}]
    entry = {"Id": "sha256:1", "RepoTags": ["<none>:<none>"], "RepoDigests": None, "Created": 9}
    one = parse_image("n", entry, base, ["sha256:1"], PREFIXES)
    two = parse_image("n", entry, [{"Created": 3, "CreatedBy": "c", "Size": 0}, *base], [], PREFIXES)
    other = parse_image("n", entry, [base[0], {"Created": 1, "CreatedBy": "x", "Size": 3}], [], PREFIXES)
    assert one.names == () and one.in_use and [layer.size for layer in one.layers] == [3, 5]
    assert two.layers == one.layers and not set(other.layers) & set(one.layers)


def test_the_registrys_tags_of_other_clusters_and_unreadable_ones_are_not_ours_and_their_layers_stay() -> None:
    text = "tag\tspark/w:1\t7\tab\nblob\tab\t2\nblob\tcd\t90\ntag\tother/w:1\t8\tef\nblob\tcd\t90\nother\tspark/w:2\n"
    image, other, unreadable = parse_tags(text, "m:5000", "spark", REGISTRY)
    assert (image.is_ours, other.is_ours, unreadable.is_ours) == (True, False, False)
    (cleaning,) = plan_clean(
        [image, other, an_image("m:5000/spark/w:3", 9, place=REGISTRY)], current=(), used=(), everything=True
    )
    assert (cleaning.images, cleaning.size) == ((image,), 2)
    assert image.names == ("m:5000/spark/w:1", "m:5000/spark/w@sha256:ab") and image.made == 7.0
    assert image.layers == (Layer(key="ab", size=2), Layer(key="cd", size=90))
    assert parse_tags("", "m:5000", "spark", REGISTRY) == ()


def test_bytes_are_said_exactly() -> None:
    assert size_text(1234) == "1,234 bytes"
    assert size_text(3 << 30) == "3,221,225,472 bytes (3.00 GiB)"
