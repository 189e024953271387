"""The second path: what it encloses is right, every claim of the estimators passes, and what is wrong does not."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import mpmath
import numpy as np
import pytest
from verified_runs import (
    COUNTS_PIXELS,
    SHAPE,
    THEOREMS,
    failures,
    forge,
    made,
    promised,
    random_records,
    rule,
    seal,
)

from holdfast.errors import RunError
from holdfast.noises.ablation import delta
from holdfast.noises.uniform_flip import surviving
from holdfast.store.run import RECORDS, ClaimRecord, RunStore, VoteRecord, read_run
from holdfast.store.run_manifest import FILE_NAME, read_run_manifest
from holdfast.types import Counts
from holdfast.verification.binomial import lower_bound, upper_bound
from holdfast.verification.bounds import Bounds
from holdfast.verification.findings import Unknown
from holdfast.verification.intervals import exact_share
from holdfast.verification.manifest import Manifest, read_manifest
from holdfast.verification.rules import Claim, Votes, look_sizes, rule_of, totals_of
from holdfast.verification.run import RunFiles, Verification, check_claims, check_files
from holdfast.verification.theorems import Steps, find_theorem

ESTIMATORS = ("fixed", "looks", "bets", "eprocess")


# --- Clopper-Pearson -------------------------------------------------------------------------------------------------


def exact_tail(hits: int, n: int, p: Fraction) -> Fraction:
    return sum((math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(hits, n + 1)), Fraction(0))


def test_bounds_are_enclosed_by_rational_arithmetic() -> None:
    """The tail at both ends of the interval lies on both sides of alpha."""
    for n in (1, 2, 7, 40):
        for hits in range(1, n + 1):
            for alpha in (Fraction(1, 1000), Fraction(1, 20), Fraction(9, 10)):
                share = lower_bound(hits, n, alpha, 64)
                middle, width = Fraction(float(share.p.mid())), Fraction(float(share.p.rad())) + Fraction(1, 2**52)
                low, high = max(Fraction(0), middle - width), min(Fraction(1), middle + width)
                assert exact_tail(hits, n, low) <= alpha <= exact_tail(hits, n, high)
                assert width < Fraction(1, 2**51)


@pytest.mark.parametrize("n", [1000, 100_000, 3_000_000])
def test_bounds_agree_with_forty_digits_and_with_more_bits(n: int) -> None:
    chance = random.Random(n)
    for hits in (1, 2, n // 2, n - 1, n, *(chance.randint(1, n) for _ in range(6))):
        coarse, fine = (lower_bound(hits, n, Fraction(1, 1000), bits) for bits in (64, 200))
        assert coarse.p.overlaps(fine.p)
        assert coarse.q.overlaps(fine.q)
        assert min(fine.p.rel_accuracy_bits(), fine.q.rel_accuracy_bits()) > 180
        mirrored = upper_bound(n - hits, n, Fraction(1, 1000), 64)
        assert (mirrored.p.overlaps(coarse.q), mirrored.q.overlaps(coarse.p)) == (True, True)
        if n <= 1000:
            with mpmath.workdps(40):
                tail = mpmath.betainc(
                    hits, n - hits + 1, 0, mpmath.mpf(str(fine.p.str(50, radius=False))), regularized=True
                )
                assert abs(tail - mpmath.mpf("0.001")) < mpmath.mpf("1e-35")


def test_nothing_and_everything() -> None:
    assert float(lower_bound(0, 9, Fraction(1, 20), 64).p) == 0.0
    assert float(upper_bound(9, 9, Fraction(1, 20), 64).p) == 1.0


# --- Claims of the estimators ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("theorem", THEOREMS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_what_the_estimators_claim_passes(tmp_path: Path, theorem: str, estimator: str) -> None:
    for number, (n, alpha, classes) in enumerate([(1000, 0.001, 5), (37, 0.05, 3), (20_000, 1e-6, 2), (300, 0.3, 10)]):
        for method in ("split", "cohen") if estimator != "eprocess" else ("cohen",):
            manifest = promised(theorem, rule(estimator, theorem, method, n, alpha), 25, classes)
            material, claims = made(tmp_path / f"{method}-{number}", manifest, seed=number)
            assert failures(material, claims) == []


def test_a_precision_of_the_looks_does_not_matter_for_the_bounds() -> None:
    noise, data = THEOREMS["cohen"], (50, SHAPE, 2, range(1), 1, None, "0" * 64)
    plain, precise = (
        rule_of(Manifest("certify", noise, "cohen", {**rule("looks", "cohen"), **entry}, *data))
        for entry in ({}, {"precision": "0.05"})
    )
    votes = Votes((50, 0), (990, 10))
    assert totals_of(plain.manifest) == totals_of(precise.manifest)
    for radius in (0.5, 0.6, 0.7):
        assert plain.complaints(votes, Claim(0, 0, radius)) == precise.complaints(votes, Claim(0, 0, radius))


def test_joint_alpha_passes(tmp_path: Path) -> None:
    estimator = rule("looks", "cohen", alpha=math.nextafter(0.01 / 30, 0.0))
    material, claims = made(tmp_path / "run", promised("cohen", estimator, 30, joint_alpha=0.01))
    assert failures(material, claims) == []


def test_lis_radius_does_not_exceed_the_theorem_where_powers_overflow() -> None:
    """0.44^-865 is infinite in float64; a mean of that vanished under its root, and the radius was too large."""
    from holdfast.noises.gaussian import Gaussian, li
    from holdfast.types import ClassBounds

    found = li(Gaussian(0.3), ClassBounds(0, 0.5239582014326523, 0.44015986411317987), SHAPE)
    assert found == pytest.approx(0.02565435, rel=1e-6)
    assert found < 0.02565434722


# --- One ulp ---------------------------------------------------------------------------------------------------------


@cache
def clopper_pearson_by_bisection(hits: int, n: int, alpha: Fraction) -> Fraction:
    """The bound to 180 bits, from below, in rational arithmetic."""
    low, high = 0, 1 << 180
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if exact_tail(hits, n, Fraction(middle, 1 << 180)) <= alpha else (low, middle)
    return Fraction(low, 1 << 180)


def oracle(theorem: str, votes: tuple[int, ...], top: int, alpha: Fraction) -> mpmath.mpf:
    """The supremum by 40 digits, for `cohen` bounds."""
    exact = clopper_pearson_by_bisection(votes[top], sum(votes), alpha)
    p = mpmath.mpf(exact.numerator) / exact.denominator
    d = math.prod(SHAPE)
    noise = {key: mpmath.mpf(value) for key, value in THEOREMS[theorem].items() if isinstance(value, float)}
    return {
        "cohen": lambda: noise["sigma"] * mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1),
        "cohen_linf": lambda: noise["sigma"] * mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1) / mpmath.sqrt(d),
        "dwork": lambda: -noise["b"] * mpmath.log(2 * (1 - p)),
        "quantiles": lambda: -noise["b"] * mpmath.log(2 * (1 - p)),
        "overlap_l1": lambda: noise["half_width"] * (2 * p - 1),
        "overlap_linf": lambda: 2 * noise["half_width"] * (1 - (1 - (2 * p - 1) / 2) ** (mpmath.mpf(1) / d)),
    }[theorem]()


VOTES = [(60, 0, 0), (55, 5, 0), (48, 6, 6), (3, 50, 7), (41, 10, 9)]


def material_for(folder: Path, theorem: str, votes: tuple[int, ...], estimator: dict) -> RunFiles:
    manifest = promised(theorem, estimator, 1, len(votes))
    selection = Counts(tuple(manifest.n0 * (label == votes.index(max(votes))) for label in range(len(votes))))
    with RunStore(folder, manifest) as store:
        store.append([VoteRecord(0, 0, selection, Counts(votes))])
    material = check_files(folder, Verification())
    assert material is not None
    return material


@pytest.mark.parametrize("theorem", ["cohen", "cohen_linf", "dwork", "quantiles", "overlap_l1", "overlap_linf"])
@pytest.mark.parametrize("votes", VOTES)
def test_the_largest_float_below_the_supremum_passes_and_the_next_one_fails(
    tmp_path: Path, theorem: str, votes: tuple[int, ...]
) -> None:
    material = material_for(tmp_path / "run", theorem, votes, rule("fixed", theorem, "cohen", sum(votes), 0.05))
    top = votes.index(max(votes))
    with mpmath.workdps(60):
        supremum = oracle(theorem, votes, top, Fraction(1, 20))
        largest = float(supremum)
        if mpmath.mpf(largest) > supremum:
            largest = math.nextafter(largest, 0.0)
        assert mpmath.mpf(math.nextafter(largest, math.inf)) > supremum
    assert failures(material, [Claim(0, top, largest)]) == []
    (complaint,) = failures(material, [Claim(0, top, math.nextafter(largest, math.inf))])
    assert "the votes give" in complaint
    assert failures(material, [Claim(0, top, largest * (1 - 1e-7))]), "a radius may not be left out either"


@pytest.mark.parametrize("theorem", ["lecuyer", "li"])
@pytest.mark.parametrize("votes", VOTES)
def test_the_older_theorems_have_room_for_a_grid_and_none_above(
    tmp_path: Path, theorem: str, votes: tuple[int, ...]
) -> None:
    material = material_for(tmp_path / "run", theorem, votes, rule("fixed", theorem, "cohen", sum(votes), 0.05))
    top, sigma = votes.index(max(votes)), mpmath.mpf(0.3)
    p = mpmath.mpf(str(lower_bound(votes[top], sum(votes), Fraction(1, 20), 128).p.str(36, radius=False)))
    q = 1 - p

    def at(t: mpmath.mpf) -> mpmath.mpf:
        if theorem == "lecuyer":
            return t / mpmath.sqrt(2 * mpmath.log(1.25 * (1 + mpmath.exp(t)) / (p - mpmath.exp(2 * t) * q)))
        mean = (p ** (1 - t) + q ** (1 - t)) / 2
        return mpmath.sqrt(-2 / t * mpmath.log(1 - p - q + 2 * mean ** (1 / (1 - t))))

    with mpmath.workdps(40):
        most = min(mpmath.mpf(1), mpmath.log(p / q) / 2 * mpmath.mpf("0.999999"))
        grid = (
            [most * step / 3000 for step in range(1, 3001)]
            if theorem == "lecuyer"
            else [mpmath.exp(mpmath.mpf(step) / 300) for step in range(-600, 1800) if step]
        )
        largest = float(sigma * max(at(t) for t in grid))
    assert failures(material, [Claim(0, top, largest * (1 - 1e-5))]) == []
    assert failures(material, [Claim(0, top, largest * (1 + 1e-5))])
    assert failures(material, [Claim(0, top, largest * (1 - 1e-3))])


@pytest.mark.parametrize("theorem", ["levine", "partition", "lee"])
@pytest.mark.parametrize("votes", [*VOTES, (980, 12, 8), (1000, 0, 0)])
def test_a_pixel_more_or_less_fails(tmp_path: Path, theorem: str, votes: tuple[int, ...]) -> None:
    material = material_for(tmp_path / "run", theorem, votes, rule("fixed", theorem, "cohen", sum(votes), 0.05))
    top = votes.index(max(votes))
    p = Fraction(float(lower_bound(votes[top], sum(votes), Fraction(1, 20), 64).p))

    def certified(r: int) -> bool:
        if theorem == "levine":
            return p - delta(64, 12, r) > Fraction(1, 2)
        if theorem == "partition":
            return math.ceil(22 * p) - math.floor(22 * (1 - p)) > 2 * r
        return 2 * surviving(Fraction(0.6), 16, r, p) > 1

    expected = next((r - 1 for r in range(65) if not certified(r)), 64)
    for radius in range(12):
        assert (failures(material, [Claim(0, top, float(radius))]) == []) == (radius == expected)
    assert failures(material, [Claim(0, top, expected + 0.5)])
    assert failures(material, [Claim(0, None, 0.0)]), "an abstention where the votes certify"


def test_the_lattice_of_few_sets_certifies_more_than_real_numbers_would(tmp_path: Path) -> None:
    """With 4 pixels and k = 1 every probability is a multiple of 1/4: p > 1/2 is p >= 3/4."""
    manifest = promised("levine", rule("fixed", "levine", "cohen", 1000, 0.05), 1, 2)
    manifest = replace(
        manifest,
        noise={**manifest.noise, "k": 1},
        data=replace(manifest.data, shape=(1, 2, 2)),
    )
    with RunStore(tmp_path / "run", manifest) as store:
        store.append([VoteRecord(0, 0, Counts((50, 0)), Counts((900, 100)))])
    material = check_files(tmp_path / "run", Verification())
    assert material is not None
    # p_lower = 0.88 means all 4 sets, a rival 0: one pixel touches one set, 4 - 1 > 0 + 1.
    assert failures(material, [Claim(0, 0, 1.0)]) == []
    assert failures(material, [Claim(0, 0, 2.0)])


@pytest.mark.parametrize("theorem", THEOREMS)
def test_a_bet_supports_its_radius_and_no_other(tmp_path: Path, theorem: str) -> None:
    material, claims = made(tmp_path / "run", promised(theorem, rule("eprocess", theorem), 30))
    certified = [claim for claim in claims if claim.label is not None]
    abstained = [claim for claim in claims if claim.label is None]
    assert certified
    assert abstained
    asked = float(material.manifest.estimator["radius"])
    for claim in certified[:2]:
        larger = asked + 1 if theorem in COUNTS_PIXELS else asked * (1 + 1e-4)
        assert "the bet was about" in failures(material, [replace(claim, radius=larger)])[0]
        assert "the bet was about" in failures(material, [replace(claim, radius=60.0)])[0]
        assert failures(material, [replace(claim, radius=0.0)])
        assert "an abstention is claimed" in failures(material, [replace(claim, label=None, radius=0.0)])[0]
    for claim in abstained[:2]:
        top = read_run(tmp_path / "run").records[claim.index].selection.top
        assert "is not won" in failures(material, [replace(claim, label=top, radius=asked)])[0]


@pytest.mark.parametrize("method", ["split", "cohen"])
def test_bounds_of_bets_are_checked_from_both_sides(tmp_path: Path, method: str) -> None:
    """A little more radius is unsound, a little less is missing; and selection votes matter."""
    material, claims = made(tmp_path / "run", promised("cohen", rule("bets", "cohen", method), 30))
    certified = [claim for claim in claims if claim.label is not None and claim.radius > 0]
    assert certified
    for claim in certified[:6]:
        for factor in (1 + 1e-8, 1 - 1e-5):
            assert "the votes give" in failures(material, [replace(claim, radius=claim.radius * factor)])[0]
        assert "the votes give" in failures(material, [replace(claim, label=None, radius=0.0)])[0]
        assert any("p_lower" in text for text in failures(material, [replace(claim, p_lower=claim.p_lower + 1e-9)]))
        assert any("p_upper" in text for text in failures(material, [replace(claim, p_upper=claim.p_upper - 1e-6)]))
    settings = (50, SHAPE, 2, range(1), 1, None, "0" * 64)
    by_votes = rule_of(Manifest("certify", THEOREMS["cohen"], "cohen", rule("bets", "cohen", method), *settings))
    assert by_votes.most(Votes((48, 2), (285, 15))) != by_votes.most(Votes((26, 24), (285, 15)))
    assert by_votes.most(Votes((48, 2), (950, 50))) > by_votes.most(Votes((48, 2), (285, 15)))


@pytest.mark.parametrize("share", ["1", "-0.1"])
def test_a_share_of_the_stake_that_leaves_nothing_is_refused(share: str) -> None:
    settings = (50, SHAPE, 2, range(1), 1, None, "0" * 64)
    described = {**rule("bets", "cohen"), "selection_share": share}
    with pytest.raises(RunError, match="the share of a stake lies from 0 to below 1"):
        rule_of(Manifest("certify", THEOREMS["cohen"], "cohen", described, *settings))


# --- Exact votes -----------------------------------------------------------------------------------------------------


def exact(noise: dict, votes: tuple[int, ...], shape: tuple[int, ...] = (1, 8, 8), **estimator: object) -> Votes:
    global _rule
    described = {"name": "exact", "n": sum(votes), **estimator}
    theorem = str(noise["name"]) if noise["name"] in ("partition", "splitting", "columns", "blocks") else "levine"
    _rule = rule_of(Manifest("certify", noise, theorem, described, 0, shape, len(votes), range(1), 1, None, "0" * 64))
    return Votes((0,) * len(votes), votes)


@pytest.mark.parametrize(
    ("votes", "top", "radius"),
    # 2 r <= v_A - v_c - [c < A]; 64 pixels in parts of 4 make 16 votes.
    [
        ((16, 0, 0), 0, 8),
        ((0, 16, 0), 1, 7),
        ((9, 7, 0), 0, 1),
        ((7, 9, 0), 1, 0),
        ((8, 8, 0), 0, 0),
        ((5, 6, 5), 1, 0),
    ],
)
@pytest.mark.parametrize("alpha", [{}, {"alpha": 0}, {"alpha": "0.0"}])
def test_exact_votes_of_a_partition(votes: tuple[int, ...], top: int, radius: int, alpha: dict) -> None:
    noise = {"name": "partition", "k": 4, "pattern": "strided", "null": "multichannel", "fill": None}
    counted = exact(noise, votes, **alpha)
    assert _rule.complaints(counted, Claim(0, top, float(radius))) == []
    assert _rule.complaints(counted, Claim(0, top, radius + 1.0))
    assert _rule.complaints(counted, Claim(0, top, radius - 1.0))
    assert _rule.complaints(counted, Claim(0, None, 0.0))
    assert _rule.complaints(counted, Claim(0, (top + 1) % 3, float(radius)))
    assert totals_of(_rule.manifest) == {16}


def test_exact_votes_of_ablation_count_the_sets_that_a_change_meets() -> None:
    noise = {"name": "ablation", "k": 2, "null": "multichannel", "fill": None}
    # 9 pixels: 36 sets; one pixel meets 8 of them, two meet 15, three meet 21.
    for votes, top, radius in [((36, 0), 0, 2), ((30, 6), 0, 1), ((10, 26), 1, 0), ((9, 27), 1, 1), ((18, 18), 0, 0)]:
        counted = exact(noise, votes, (1, 3, 3))
        assert _rule.complaints(counted, Claim(0, top, float(radius))) == []
        assert _rule.complaints(counted, Claim(0, top, radius + 1.0))


@pytest.mark.parametrize(
    ("votes", "top", "steps"),
    # Cells of 2 x 0.5 x 16 = 16 steps of 1/16 make 16 votes.
    [
        ((16, 0, 0), 0, 8),
        ((0, 16, 0), 1, 7),
        ((9, 7, 0), 0, 1),
        ((7, 9, 0), 1, 0),
        ((8, 8, 0), 0, 0),
        ((5, 6, 5), 1, 0),
    ],
)
def test_exact_votes_of_splitting_noise_are_counted_in_steps(votes: tuple[int, ...], top: int, steps: int) -> None:
    counted = exact({"name": "splitting", "half_width": 0.5, "levels": 17, "shift": 1}, votes)
    assert _rule.complaints(counted, Claim(0, top, steps / 16)) == []
    for other in (steps + 1, steps - 1, steps + 1e-9, steps - 1e-9, 16 * steps + 1):
        (complaint,) = _rule.complaints(counted, Claim(0, top, other / 16))
        assert f"the votes give {steps / 16!r}" in complaint
    assert _rule.complaints(counted, Claim(0, (top + 1) % 3, steps / 16))


@pytest.mark.parametrize(
    ("noise", "votes", "top", "side"),
    # 2 (m + width - 1) and 2 (m + size - 1)^2 are at most v_A - v_c - [c < A]; the images have 6 x 16 pixels.
    [
        ({"name": "columns", "width": 1}, (16, 0, 0), 0, 8),
        ({"name": "columns", "width": 1}, (0, 16, 0), 1, 7),
        ({"name": "columns", "width": 4}, (16, 0, 0), 0, 5),
        ({"name": "columns", "width": 4}, (12, 4, 0), 0, 1),
        ({"name": "columns", "width": 4}, (4, 12, 0), 1, 0),
        ({"name": "columns", "width": 4}, (8, 8, 0), 0, 0),
        ({"name": "columns", "width": 16}, (16, 0, 0), 0, 0),
        ({"name": "blocks", "size": 1}, (96, 0, 0), 0, 8),
        ({"name": "blocks", "size": 1}, (94, 1, 1), 0, 7),
        ({"name": "blocks", "size": 2}, (96, 0, 0), 0, 7),
        ({"name": "blocks", "size": 2}, (2, 94, 0), 1, 6),
        ({"name": "blocks", "size": 3}, (57, 39, 0), 0, 1),
        ({"name": "blocks", "size": 3}, (39, 57, 0), 1, 0),
        ({"name": "blocks", "size": 6}, (96, 0, 0), 0, 3),
    ],
)
def test_exact_votes_of_windows_are_counted_in_sides_of_a_patch(
    noise: dict, votes: tuple[int, ...], top: int, side: int
) -> None:
    counted = exact({**noise, "null": "multichannel", "fill": None}, votes, (2, 6, 16))
    assert _rule.complaints(counted, Claim(0, top, float(side))) == []
    for other in (side + 1, side - 1, side + 0.5, 16, 60):
        (complaint,) = _rule.complaints(counted, Claim(0, top, float(other)))
        assert f"the votes give {side}" in complaint
    assert _rule.complaints(counted, Claim(0, (top + 1) % 3, float(side)))


@pytest.mark.parametrize(
    ("noise", "shape", "match"),
    [
        ({"name": "columns", "width": 17}, (1, 6, 16), "no more than an image has"),
        ({"name": "columns", "width": 0}, (1, 6, 16), "no more than an image has"),
        ({"name": "columns", "width": 2.0}, (1, 6, 16), "no more than an image has"),
        ({"name": "blocks", "size": 4}, (1, 3, 6), "no more than an image has"),
        ({"name": "columns", "width": 1}, (18,), "patches are of images"),
        ({"name": "columns", "width": 1}, (1, 3, 2, 3), "patches are of images"),
        ({"name": "columns", "width": 1}, (1, 18, 17), "n = 18; the noise has 17 realizations"),
        ({"name": "blocks", "size": 1}, (1, 2, 8), "n = 18; the noise has 16 realizations"),
    ],
)
def test_windows_that_cannot_be_are_refused(noise: dict, shape: tuple[int, ...], match: str) -> None:
    count = 16 if shape == (1, 6, 16) else 18
    with pytest.raises(RunError, match=match):
        _complaints({**noise, "null": "multichannel", "fill": None}, (count, 0), shape)


def _complaints(noise: dict, votes: tuple[int, ...], shape: tuple[int, ...]) -> list[str]:
    counted = exact(noise, votes, shape)
    return _rule.complaints(counted, Claim(0, 0, 0.0))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"levels": 1}, "2 to 65536 levels"),
        ({"levels": 65537}, "2 to 65536 levels"),
        ({"shift": -1}, r"a shift from 0 to 2\^32 - 1"),
        ({"shift": 2**32}, r"a shift from 0 to 2\^32 - 1"),
        ({"half_width": 1e30}, "has 2 to 131072 offsets"),
        ({"half_width": 0.06}, "has 2 to 131072 offsets, the manifest's has 1"),
        ({"half_width": 0.6}, "n = 16; the noise has 19 realizations"),
    ],
)
def test_splitting_noise_that_cannot_be_is_refused(changes: dict, match: str) -> None:
    with pytest.raises(RunError, match=match):
        exact({"name": "splitting", "half_width": 0.5, "levels": 17, "shift": 1, **changes}, (16, 0))


def test_a_radius_of_splitting_noise_in_a_bet_is_reached_by_the_next_step(tmp_path: Path) -> None:
    """0.2 is 51/255 in real numbers, as a float64 a little more: 52 steps are needed, and 51 are not enough."""
    theorem = find_theorem({"name": "splitting"}, "splitting")
    assert isinstance(theorem, Steps)
    noise = {"name": "splitting", "half_width": 1.0, "levels": 256, "shift": 0}
    for text, count in (("0.2", 52), ("0.6", 153), ("0.25", 64), ("1", 255), ("0.3", 77), ("0", 0)):
        assert theorem.count(Fraction(text), noise) == theorem.count(Fraction(float(text)), noise) == count
    for steps in range(600):
        claim = theorem.claim(steps, noise)
        assert claim <= Fraction(steps, 255) < claim + Fraction(1, 2**50)
        assert theorem.count(claim, noise) == steps
    # Whatever radius is asked for, the estimator and verify agree on what it needs.
    for asked in (0.2, 0.6, 0.1, 0.3, 1 / 3, 52 / 255):
        manifest = promised("splitting", {**rule("eprocess", "splitting"), "radius": asked}, 20)
        material, claims = made(tmp_path / str(asked), replace(manifest, noise=noise))
        assert any(claim.label is not None for claim in claims)
        assert failures(material, claims) == []


def test_sampled_radii_of_splitting_noise_are_whole_steps_but_for_rounding(tmp_path: Path) -> None:
    """Most multiples of 1/255 are no float64: the largest below is right, a step less is too little, one more wrong."""
    manifest = promised("splitting", rule("fixed", "splitting"), 30)
    noise = {"name": "splitting", "half_width": 1.0, "levels": 256, "shift": 0}
    material, claims = made(tmp_path / "run", replace(manifest, noise=noise))
    assert failures(material, claims) == []
    certified = [(place, claim) for place, claim in enumerate(claims) if claim.label is not None and claim.radius > 0]
    assert any(Fraction(claim.radius) * 255 % 1 for _, claim in certified), "some are rounded"
    for place, claim in certified[:5]:
        for steps in (-1, 1):
            others = claims.copy()
            others[place] = replace(claim, radius=claim.radius + steps / 255)
            (complaint, *_) = failures(material, others)
            assert f"the votes give {claim.radius!r}" in complaint
    # 256 of 510 offsets against 254 certify a radius of 0 and no step: an abstention is less.
    share = exact_share(Fraction(501, 1000))
    theorem, bounds = find_theorem(noise, "splitting"), Bounds(share, share.complement)
    assert theorem.misses(Fraction(-1), noise, (1, 8, 8), bounds)
    assert not theorem.misses(Fraction(0), noise, (1, 8, 8), bounds)
    assert theorem.most(noise, (1, 8, 8), bounds) == "0.0"


def test_exact_votes_must_be_all_votes() -> None:
    noise = {"name": "partition", "k": 4, "pattern": "random", "null": "multichannel", "fill": None}
    with pytest.raises(RunError, match="n = 15; the noise has 16 realizations"):
        exact(noise, (15, 0))
    with pytest.raises(RunError, match=r"alpha = 0\.5 for exact votes"):
        exact(noise, (16, 0), alpha=Fraction(1, 2))
    with pytest.raises(RunError, match="does not know theorem 'levine' of noise 'gaussian'"):
        exact({"name": "gaussian", "sigma": 1.0}, (16, 0))


# --- Run-offs --------------------------------------------------------------------------------------------------------

_RUNOFF = {**THEOREMS["partition"], "decision": "runoff"}


def run_off(folder: Path, size: int = 30, seed: int = 0) -> tuple[RunFiles, list[Claim]]:
    return made(folder, promised("partition", {"name": "runoff", "n": 22}, size, noise=_RUNOFF, n0=0), seed)


def test_a_run_off_supports_its_winner_and_radius_and_no_other(tmp_path: Path) -> None:
    material, claims = run_off(tmp_path / "run", 60)
    assert failures(material, claims) == []
    assert len({claim.radius for claim in claims}) > 4
    for claim in claims:
        for radius in (claim.radius + 1, claim.radius - 1, claim.radius + 0.5):
            if radius >= 0:
                assert failures(material, [replace(claim, radius=radius)])
        assert failures(material, [replace(claim, label=None, radius=0.0)])
        assert claim.label is not None
        assert "the run-off says" in failures(material, [replace(claim, label=(claim.label + 1) % 5)])[0]
    # What would be claimed of a majority is another class, or another radius.
    votes = [record.estimation for record in read_run(tmp_path / "run").records if isinstance(record, VoteRecord)]
    majority = [min(2 * a.votes[a.top] - a.votes[a.top] - b - (c < a.top) for c, b in enumerate(a.votes) if c != a.top)
                // 2 for a in votes]  # fmt: skip
    plain = [replace(claim, label=a.top, radius=float(r)) for claim, a, r in zip(claims, votes, majority, strict=True)]
    assert sum(bool(failures(material, [claim])) for claim in plain) > 5


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda pairs: pairs[0].__setitem__(0, 1), "above itself"),
        (lambda pairs: pairs[0].__setitem__(1, pairs[0][1] + 1), "rankings of 22"),
        (lambda pairs: pairs.pop(), "pairs are 5 x 5 numbers"),
        (lambda pairs: pairs[2].pop(), "pairs are 5 x 5 numbers"),
        (lambda pairs: pairs[0].__setitem__(1, -1), "pairs"),
    ],
)
def test_pairs_that_no_rankings_have_are_refused(tmp_path: Path, change: Callable, why: str) -> None:
    run_off(tmp_path / "run", 2)
    first, second = (tmp_path / "run" / RECORDS).read_text().splitlines(keepends=True)
    entries = json.loads(first)
    change(entries["pairs"])
    (tmp_path / "run" / RECORDS).write_text(seal(tmp_path / "run", entries) + second)
    result = Verification()
    check_files(tmp_path / "run", result)
    assert any(why in text for text in result.failures), result.failures
    with pytest.raises(RunError):
        read_run(tmp_path / "run")


def test_a_class_that_is_first_more_often_than_above_others_is_refused(tmp_path: Path) -> None:
    run_off(tmp_path / "run", 1)
    entries = json.loads((tmp_path / "run" / RECORDS).read_text())
    top = entries["estimation"].index(max(entries["estimation"]))
    other = (top + 1) % 5
    entries["pairs"][top][other], entries["pairs"][other][top] = (
        entries["estimation"][top] - 1,
        23 - max(entries["estimation"]),
    )
    (tmp_path / "run" / RECORDS).write_text(seal(tmp_path / "run", entries))
    result = Verification()
    check_files(tmp_path / "run", result)
    assert "first more often than above" in result.failures[0]
    with pytest.raises(RunError, match=r"is first .* times, and above class"):
        read_run(tmp_path / "run")


@pytest.mark.parametrize("ranked", [True, False])
def test_pairs_belong_to_run_offs_alone(tmp_path: Path, ranked: bool) -> None:
    if ranked:
        run_off(tmp_path / "run", 1)
    else:
        made(tmp_path / "run", promised("partition", {"name": "exact", "n": 22}, 1, n0=0))
    entries = json.loads((tmp_path / "run" / RECORDS).read_text())
    if ranked:
        del entries["pairs"]
    else:
        entries["pairs"] = [[0] * 5] * 5
    (tmp_path / "run" / RECORDS).write_text(seal(tmp_path / "run", entries))
    result = Verification()
    check_files(tmp_path / "run", result)
    assert "pairs are of run-offs" in result.failures[0]
    with pytest.raises(RunError, match="rankings of pairs, in the entry pairs"):
        read_run(tmp_path / "run")


def test_the_estimator_decides_as_the_noise_says() -> None:
    settings = (0, SHAPE, 2, range(1), 1, None, "0" * 64)
    for noise, name in ((_RUNOFF, "exact"), (THEOREMS["partition"], "runoff"), (_RUNOFF, "fixed")):
        with pytest.raises(RunError, match="do not fit"):
            rule_of(Manifest("certify", noise, "partition", {"name": name, "n": 22}, *settings))
    columns = {**THEOREMS["columns"], "decision": "runoff"}
    with pytest.raises(Unknown, match="run-offs of disjoint blocks"):
        rule_of(Manifest("certify", columns, "columns", {"name": "runoff", "n": 8}, *settings))


# --- Broken estimators -----------------------------------------------------------------------------------------------


def claims_by(material: RunFiles, folder: Path, break_it: Callable[[VoteRecord], Claim]) -> list[str]:
    return failures(material, [break_it(record) for record in read_run(folder).records])


def test_broken_estimators_are_caught(tmp_path: Path) -> None:
    """Faults of the field: a two-sided alpha, selection votes used again, the runner-up's share for an upper bound."""
    from holdfast.noises.gaussian import Gaussian, cohen
    from holdfast.stats.binomial import lower_bound as clopper_pearson
    from holdfast.types import ClassBounds

    manifest = promised("cohen", rule("fixed", "cohen", "cohen", 1000, 0.01), 20)
    folder = tmp_path / "run"
    material, claims = made(folder, manifest)
    assert failures(material, claims) == []

    def claim(record: VoteRecord, p_lower: float, p_upper: float | None = None) -> Claim:
        upper = 1 - p_lower if p_upper is None else p_upper
        radius = cohen(Gaussian(0.3), ClassBounds(0, p_lower, upper), SHAPE)
        return Claim(record.index, None if radius is None else record.selection.top, radius or 0.0)

    def hits(record: VoteRecord) -> int:
        return record.estimation.votes[record.selection.top]

    def wrong_level(level: float) -> Callable[[VoteRecord], Claim]:
        return lambda record: claim(record, clopper_pearson(hits(record), 1000, level))

    def reused(record: VoteRecord) -> Claim:
        return claim(record, clopper_pearson(hits(record) + max(record.selection.votes), 1050, 0.01))

    def runner_up(record: VoteRecord) -> Claim:
        others = max(votes for label, votes in enumerate(record.estimation.votes) if label != record.selection.top)
        return claim(record, clopper_pearson(hits(record), 1000, 0.01), others / 1000)

    def plain_share(record: VoteRecord) -> Claim:
        return claim(record, min(1 - 1e-9, hits(record) / 1000))

    for broken in (wrong_level(0.005), wrong_level(0.02), reused, runner_up, plain_share):
        assert len(claims_by(material, folder, broken)) > 10
    assert len(claims_by(material, folder, lambda record: replace(claims[record.index], label=3))) >= 10


def test_claimed_bounds_are_checked_too(tmp_path: Path) -> None:
    material, claims = made(tmp_path / "run", promised("cohen", rule("fixed", "cohen"), 5))
    chosen = next(claim for claim in claims if claim.label is not None)
    assert chosen.p_lower is not None
    assert chosen.p_upper is not None
    assert "p_lower" in failures(material, [replace(chosen, p_lower=chosen.p_lower + 1e-9)])[0]
    assert "p_upper" in failures(material, [replace(chosen, p_upper=chosen.p_upper - 1e-9)])[0]
    for radius in (math.nan, math.inf, -0.1):
        assert "finite number from 0 on" in failures(material, [replace(chosen, radius=radius)])[0]
    assert "an abstention has no radius" in failures(material, [replace(chosen, label=None)])[0]
    assert "no readable record" in failures(material, [replace(chosen, index=77)])[0]


# --- Damage ----------------------------------------------------------------------------------------------------------


def flips(text: str, chance: random.Random) -> list[str]:
    """The text with each of its digits changed in turn."""
    return [
        text[:place] + chance.choice([digit for digit in "0123456789" if digit != character]) + text[place + 1 :]
        for place, character in enumerate(text)
        if character.isdigit()
    ]


def reading_fails(folder: Path) -> bool:
    """Whether verify and the run store both refuse what is in the folder."""
    result = Verification()
    check_files(folder, result)
    with pytest.raises(RunError):
        read_run(folder)
    return bool(result.failures)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_digit_of_a_record_is_sealed(tmp_path: Path, estimator: str) -> None:
    folder = tmp_path / "run"
    made(folder, promised("cohen", rule(estimator, "cohen"), 3))
    lines = (folder / RECORDS).read_text().splitlines(keepends=True)
    for changed in flips(lines[1], random.Random(1)):
        (folder / RECORDS).write_text(lines[0] + changed + lines[2])
        assert reading_fails(folder)


def test_every_digit_of_the_manifest_is_sealed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    made(folder, promised("cohen", rule("looks", "cohen"), 3, joint_alpha=0.003))
    text = (folder / FILE_NAME).read_text()
    for changed in flips(text, random.Random(2)):
        (folder / FILE_NAME).write_text(changed)
        assert reading_fails(folder)
    for old, new in (
        ("gaussian", "Gaussian"),
        ("2026", "2027"),
        ('"alpha": 0.001', '"alpha": 0.0010000000000000000001'),
        ('"size": 3', '"size": -0'),
    ):
        assert text.count(old)
        (folder / FILE_NAME).write_text(text.replace(old, new))
        result = Verification()
        check_files(folder, result)
        said = "is not written as Holdfast writes it" if new.startswith('"') else "was changed after it was written"
        assert said in result.failures[0]


def test_what_is_no_record_and_no_manifest_is_a_failure(tmp_path: Path) -> None:
    """Nesting that Python can read and cannot write, among others."""
    folder = tmp_path / "run"
    made(folder, promised("cohen", rule("fixed", "cohen"), 3))
    nested = [(depth * '{"a":' + "1" + depth * "}").encode() for depth in (*range(300, 1000, 20), 100_000)]
    for line in (b"[]", b"5", b"\xff", b'{"a":"\xff"}', b"{}", *nested):
        (folder / RECORDS).write_bytes(line + b"\n")
        assert reading_fails(folder)
    (folder / RECORDS).write_bytes(b"")
    for text in (b"\xff", *nested):
        (folder / FILE_NAME).write_bytes(text)
        assert reading_fails(folder)


def test_a_record_of_another_run_does_not_fit(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 2)):
        made(tmp_path / name, promised("cohen", rule("fixed", "cohen"), 3, seed=seed))
    (tmp_path / "one" / RECORDS).write_text((tmp_path / "two" / RECORDS).read_text())
    assert reading_fails(tmp_path / "one")


def test_a_key_that_comes_twice_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    made(folder, promised("cohen", rule("fixed", "cohen"), 3))
    text = (folder / FILE_NAME).read_text()
    (folder / FILE_NAME).write_text(text.replace('"seed": 7', '"seed": 8, "seed": 7'))
    result = Verification()
    assert check_files(folder, result) is None
    assert "the entry 'seed' comes twice" in result.failures[0]


def test_resuming_goes_on_with_the_first_sessions_digest(tmp_path: Path) -> None:
    manifest = promised("cohen", rule("fixed", "cohen"), 4)
    records = random_records(manifest)
    with RunStore(tmp_path / "run", manifest) as store:
        store.append(records[:2])
    with RunStore(tmp_path / "run", replace(manifest, created="2026-02-02T00:00:00+00:00")) as store:
        store.append(records[2:])
    assert len(read_run(tmp_path / "run").records) == 4
    assert read_run_manifest(tmp_path / "run").digest == manifest.digest == read_manifest(tmp_path / "run").digest


# --- Procedure -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"label": 5}, "label 5 is not one of 5 classes"),
        ({"index": 9}, "example 9 is not in the subset"),
        ({"index": 0}, "example 0 has a second record"),
        ({"selection": [49, 0, 0, 0, 0]}, "49 selection votes, the manifest has 50"),
        ({"estimation": [999, 0, 0, 0, 0]}, "does not stop at 999 votes"),
        ({"estimation": [1001, -1, 0, 0, 0]}, "entry estimation[1] is -1; expected a whole number of at least 0"),
        ({"estimation": [1000, 0, 0, 0]}, "5 numbers, found 4"),
    ],
)
def test_records_that_the_procedure_cannot_have_written(tmp_path: Path, change: dict, complaint: str) -> None:
    folder = tmp_path / "run"
    made(folder, promised("cohen", rule("fixed", "cohen"), 3))
    lines = (folder / RECORDS).read_text().splitlines(keepends=True)
    (folder / RECORDS).write_text(lines[0] + seal(folder, {**json.loads(lines[1]), **change}) + lines[2])
    result = Verification()
    check_files(folder, result)
    assert complaint in result.failures[0]
    assert "line 2" in result.failures[0]


def test_looks_and_bets_stop_where_they_may(tmp_path: Path) -> None:
    for name, allowed, odd in (
        ("looks", [30, 45, 1000], [29, 46, 1001]),
        ("bets", [30, 600, 630, 661, 1000], [29, 31, 660, 693, 1001]),
        ("eprocess", [30, 60, 1000], [29, 31, 1001]),
    ):
        folder = tmp_path / name
        made(folder, promised("cohen", rule(name, "cohen"), 1))
        record = json.loads((folder / RECORDS).read_text())
        if name == "looks":
            allowed = [look_sizes(1000, 1.5)[0], look_sizes(1000, 1.5)[3], 1000]
        for total, right in [*((total, True) for total in allowed), *((total, False) for total in odd)]:
            (folder / RECORDS).write_text(seal(folder, {**record, "estimation": [total, 0, 0, 0, 0]}))
            result = Verification()
            check_files(folder, result)
            assert (result.failures == []) == right


def test_missing_examples_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    made(folder, promised("cohen", rule("fixed", "cohen"), 4))
    lines = (folder / RECORDS).read_text().splitlines(keepends=True)
    (folder / RECORDS).write_text("".join(lines[:2]) + lines[2][:30])
    result = Verification()
    check_files(folder, result)
    assert (result.failures, result.missing, result.results) == ([], 2, "")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"seed": None}, "there is no seed, and none will be derived from a nonce"),
        ({"joint_alpha": 0.5}, "the manifest has joint_alpha = 0.5"),
        ({"kind": "dreamt"}, 'the entry kind is "dreamt", which is not one of its allowed values'),
        ({"estimator": {"name": "eprocess", "n": 1, "alpha": 0.1, "radius": 99.0}}, "some probability must certify"),
        ({"estimator": {"name": "fixed", "n": 9, "alpha": 0.1}}, "the entry 'estimator.method' is missing"),
        ({"estimator": {"name": "fixed", "n": 1000, "alpha": 0.0, "method": "split"}}, "number of at least 1e-100"),
        ({"estimator": {"name": "fixed", "n": 1000, "alpha": 1.5, "method": "split"}}, "number below 1.0"),
    ],
)
def test_promises_that_cannot_be_right(tmp_path: Path, changes: dict, complaint: str) -> None:
    manifest = replace(promised("cohen", rule("fixed", "cohen"), 3), **changes)
    (tmp_path / FILE_NAME).write_text(manifest.to_json())
    result = Verification()
    check_files(tmp_path, result)
    assert complaint in result.failures[0]


def test_imported_logs_are_checked_for_what_can_be(tmp_path: Path) -> None:
    manifest = promised("cohen", rule("fixed", "cohen", "cohen", 1000, 0.001), 3, kind="imported", seed=None, model={})
    claims = [ClaimRecord(0, 1, 1, 0.73, 1.0), ClaimRecord(1, 1, None, 0.0, 1.0)]
    with RunStore(tmp_path / "fine", manifest) as store:
        store.append(claims)
    with RunStore(tmp_path / "large", manifest) as store:
        # 0.3 Q(0.001^(1/1000)) is 0.7384.
        store.append([*claims, ClaimRecord(2, 1, 1, 0.742, 1.0)])
    for name, expected in (("fine", 0), ("large", 1)):
        result = Verification()
        material = check_files(tmp_path / name, result)
        assert material is not None
        records = read_run(tmp_path / name).records
        check_claims(material, [Claim(each.index, each.predicted, each.radius) for each in records], result)
        assert len(result.failures) == expected
        assert "holds no votes" in result.notes[0]
    assert "1 claims are larger than n = 1000 and alpha = 0.001 allow (0.738" in result.failures[0]


def test_forged_votes_with_fitting_digests_change_what_they_give(tmp_path: Path) -> None:
    """Digests do not stop a forger who computes them; but what is claimed must still follow from the votes."""
    folder = tmp_path / "run"
    _, claims = made(folder, promised("cohen", rule("fixed", "cohen"), 10))
    forge(folder, lambda entries: {**entries, "estimation": np.roll(entries["estimation"], 1).tolist()})
    result = Verification()
    material = check_files(folder, result)
    assert material is not None
    assert result.failures == []
    assert len(failures(material, claims)) >= 5
