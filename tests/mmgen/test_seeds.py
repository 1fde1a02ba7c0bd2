"""Seeds: consecutive, bounded, and one independent stream a picture."""

import pytest
import torch

from mmgen import limits
from mmgen.errors import OutOfRange, WrongType
from mmgen.seeds import generator_for, seeds_for


def test_seeds_follow_the_first():
    assert seeds_for(7, 4) == [7, 8, 9, 10]


def test_without_a_seed_the_start_is_drawn_anew():
    starts = {seeds_for(None, 2)[0] for _ in range(20)}
    assert len(starts) > 15
    assert all(limits.SEED[0] <= start <= limits.SEED[1] for start in starts)


def test_the_last_seed_must_not_pass_the_limit():
    high = limits.SEED[1]
    assert seeds_for(high, 1) == [high]
    with pytest.raises(OutOfRange, match=str(high - 3)):
        seeds_for(high, 4)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_outside_its_range_is_refused(seed):
    with pytest.raises(OutOfRange):
        seeds_for(seed, 1)


@pytest.mark.parametrize("seed", [True, 1.5, "7"])
def test_a_seed_of_another_type_is_refused(seed):
    with pytest.raises(WrongType):
        seeds_for(seed, 1)


def test_a_stream_depends_on_its_seed_alone():
    alone = torch.randn(8, generator=generator_for(9))
    first, second = generator_for(8), generator_for(9)
    torch.randn(100, generator=first)
    assert torch.equal(torch.randn(8, generator=second), alone)
    assert not torch.equal(torch.randn(8, generator=generator_for(8)), alone)


def test_the_global_stream_is_left_alone():
    before = torch.random.get_rng_state()
    torch.randn(8, generator=generator_for(limits.SEED[1]))
    assert torch.equal(torch.random.get_rng_state(), before)
