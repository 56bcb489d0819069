import pytest
import torch

from dse.errors import InvalidField
from dse.training.augmentation import augment
from dse.training.recipe import NO_AUGMENTATION, Augmentation

ROWS, COLUMNS, CLIPS = 64, 128, 1500


def holes(seed: int = 1, **settings: int) -> torch.Tensor:
    """Where a batch of ones was set to zero, (CLIPS, ROWS, COLUMNS)."""
    none = {"time_masks": 0, "frequency_masks": 0, "rectangles": 0}
    generator = torch.Generator().manual_seed(seed)
    batch = torch.ones(CLIPS, ROWS, COLUMNS)
    result = augment(batch, Augmentation(**(none | settings)), generator)
    assert ((result == 0) | (result == 1)).all()
    return result == 0


def stretches(line: torch.Tensor) -> int:
    """Runs of True."""
    padded = torch.cat([torch.zeros(1, dtype=torch.bool), line])
    return int((padded[1:] & ~padded[:-1]).sum())


def test_time_masks_hide_whole_columns_of_every_width_up_to_the_limit():
    hidden = holes(time_masks=1, time_width=25)
    assert (hidden.all(dim=1) == hidden.any(dim=1)).all()
    columns = hidden.any(dim=1)
    assert max(stretches(line) for line in columns) == 1
    # 1500 draws of 26 widths: each misses with probability (25/26)^1500 = 3e-26.
    assert set(columns.sum(dim=1).tolist()) == set(range(26))
    assert columns[:, 0].any() and columns[:, -1].any()


def test_frequency_masks_hide_whole_rows_of_every_width_up_to_the_limit():
    hidden = holes(frequency_masks=1, frequency_width=15)
    assert (hidden.all(dim=2) == hidden.any(dim=2)).all()
    rows = hidden.any(dim=2)
    assert max(stretches(line) for line in rows) == 1
    assert set(rows.sum(dim=1).tolist()) == set(range(16))
    assert rows[:, 0].any() and rows[:, -1].any()


def test_a_rectangle_is_a_rectangle():
    hidden = holes(rectangles=1, rectangle_time=25, rectangle_frequency=15)
    rows, columns = hidden.any(dim=2), hidden.any(dim=1)
    assert (hidden == (rows[:, :, None] & columns[:, None, :])).all()
    assert rows.sum(dim=1).max() == 15 and columns.sum(dim=1).max() == 25
    assert max(map(stretches, rows)) == max(map(stretches, columns)) == 1


def test_there_are_as_many_holes_as_asked_for():
    assert max(map(stretches, holes(time_masks=3, time_width=10).any(dim=1))) == 3
    # A rectangle of at most one point is there with probability 1/4 (width and height 0 or 1).
    points = holes(rectangles=3, rectangle_time=1, rectangle_frequency=1).sum(dim=(1, 2))
    assert points.max() == 3
    assert points.float().mean() == pytest.approx(3 / 4, abs=0.08)


def test_holes_of_all_kinds_lie_on_top_of_each_other():
    hidden = holes(time_masks=2, frequency_masks=2, rectangles=5)
    # Mean share by hand: a place well inside is hidden by a time mask of mean width 12.5 with
    # probability 12.5/128 or a little more, by a frequency mask 7.5/64, by a rectangle their
    # product: 1 - (1 - .098)^2 (1 - .117)^2 (1 - .0114)^5 = .40.
    assert hidden.float().mean() == pytest.approx(0.40, abs=0.02)


def test_values_outside_the_holes_stay_and_the_batch_is_not_changed():
    batch = torch.randn(8, ROWS, COLUMNS, generator=torch.Generator().manual_seed(3))
    before = batch.clone()
    result = augment(batch, Augmentation(), torch.Generator().manual_seed(1))
    assert torch.equal(batch, before)
    assert torch.equal(result[result != 0], batch[result != 0])
    assert result.dtype == batch.dtype and (result == 0).any()


def test_the_generator_decides():
    assert torch.equal(holes(1, time_masks=2), holes(1, time_masks=2))
    assert not torch.equal(holes(1, time_masks=2), holes(2, time_masks=2))


def test_each_clip_has_holes_of_its_own():
    hidden = holes(time_masks=1, time_width=25)
    assert len({tuple(line.tolist()) for line in hidden.any(dim=1)}) > 200


def test_nothing_is_hidden_without_holes():
    batch = torch.ones(2, 3, 4)
    result = augment(batch, NO_AUGMENTATION, torch.Generator())
    assert torch.equal(result, batch) and result is not batch
    assert torch.equal(
        augment(
            batch,
            Augmentation(time_width=0, frequency_width=0, rectangle_time=0),
            torch.Generator(),
        ),
        batch,
    )


def test_masks_wider_than_the_picture_hide_at_most_all_of_it():
    result = augment(torch.ones(50, 4, 5), Augmentation(), torch.Generator().manual_seed(1))
    assert result.shape == (50, 4, 5)


def test_counts_below_zero_are_refused():
    with pytest.raises(InvalidField, match="time_masks must be 0 or more, not -1"):
        Augmentation(time_masks=-1)
