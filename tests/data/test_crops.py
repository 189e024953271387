"""Random resized crops: the distribution of their rectangles, and what is cut out of whole images."""

import io
import math
import pickle

import numpy as np
import pytest
from PIL import Image
from scipy.stats import kstest

from holdfast.data import DataSet, open_data
from holdfast.data.crops import ATTEMPTS, UNIFORMS, USUAL_RATIO, ResizedCrop
from holdfast.errors import UsageError

CROP = ResizedCrop((0.08, 1.0))
# Of one test that must not fail by chance; the seeds are fixed, besides.
RARE = 1e-4


def numbers(count, seed=0):
    return np.random.default_rng(seed).random((count, UNIFORMS))


def measured(boxes):
    left, top, right, bottom = boxes.T
    return left, top, right - left, bottom - top


def test_areas_ratios_and_places_are_distributed_as_they_should_be():
    """Rectangles of up to half of a square with ratios up to 4/3 always fit: nothing is drawn twice."""
    side = 100_000
    left, top, width, height = measured(ResizedCrop((0.08, 0.5)).boxes(numbers(4_000), side, side))
    share, ratio = width * height / side**2, np.log(width / height)
    assert kstest(share, "uniform", (0.08, 0.42)).pvalue > RARE
    assert kstest(ratio, "uniform", (math.log(3 / 4), 2 * math.log(4 / 3))).pvalue > RARE
    assert kstest(left / (side - width), "uniform").pvalue > RARE
    assert kstest(top / (side - height), "uniform").pvalue > RARE
    assert abs(np.corrcoef(share, ratio)[0, 1]) < 0.1
    assert abs(np.corrcoef(left / (side - width), top / (side - height))[0, 1]) < 0.1


def test_rectangles_that_do_not_fit_are_drawn_again():
    """As in a loop that draws area and ratio until the rectangle fits."""
    uniforms, height, width = numbers(300, 1), 50, 80
    found = CROP.boxes(uniforms, height, width)
    again = 0
    for row, box in zip(uniforms, found.tolist(), strict=True):
        for attempt in range(ATTEMPTS):
            area = height * width * (0.08 + 0.92 * row[attempt])
            low, high = math.log(USUAL_RATIO[0]), math.log(USUAL_RATIO[1])
            ratio = math.exp(low + row[ATTEMPTS + attempt] * (high - low))
            across, down = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if across <= width and down <= height:
                break
        else:
            continue
        again += attempt > 0
        left, top = int(row[-1] * (width - across + 1)), int(row[-2] * (height - down + 1))
        assert box == [left, top, left + across, top + down]
    assert again > 10


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(40, 300, [123, 0, 176, 40]), (300, 40, [0, 123, 40, 176]), (30, 40, [0, 0, 40, 30])],
)
def test_where_none_fits_the_middle_with_an_allowed_ratio_is_taken(height, width, expected):
    whole = ResizedCrop((1.0, 1.0))
    hopeless = np.zeros((2, UNIFORMS)) if (height, width) != (30, 40) else np.full((2, UNIFORMS), 0.5)
    assert whole.boxes(hopeless, height, width).tolist() == [expected] * 2


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (224, 3), (2, 2)])
def test_rectangles_lie_in_the_image_whatever_the_numbers(height, width):
    largest = np.nextafter(1.0, 0.0)
    for uniforms in (numbers(200, 2), np.zeros((1, UNIFORMS)), np.full((1, UNIFORMS), largest)):
        left, top, across, down = measured(CROP.boxes(uniforms, height, width))
        assert min(left.min(), top.min()) >= 0
        assert min(across.min(), down.min()) >= 1
        assert (left + across).max() <= width
        assert (top + down).max() <= height


def opened(folder, **options):
    random = np.random.default_rng(5)
    for name in ("cats", "dogs"):
        (folder / "train" / name).mkdir(parents=True)
        for number in range(3):
            pixels = random.integers(0, 256, (30 + 5 * number, 50, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "train" / name / f"{number}.png")
    return open_data("imagenet", folder, "train", options)


def expected(folder, index, uniforms, size):
    file = sorted((folder / "train").glob("*/*.png"))[index]
    image = Image.open(io.BytesIO(file.read_bytes()))
    box = CROP.boxes(uniforms, image.height, image.width)[0].tolist()
    cut = image.crop(box).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(cut).transpose(2, 0, 1).astype(np.float32) / np.float32(255)


def test_rectangles_are_cut_out_of_the_whole_image(tmp_path):
    data, uniforms, indices = opened(tmp_path, size="16"), numbers(4), [0, 5, 3, 0]
    assert data.crops_whole_images
    found = data.cropped(indices, CROP, uniforms)
    assert found.shape == (4, 3, 16, 16)
    for row, index in enumerate(indices):
        np.testing.assert_array_equal(found[row], expected(tmp_path, index, uniforms[row : row + 1], 16))
    assert not np.array_equal(found[0], found[3]), "of one image, another rectangle"


def test_parts_and_joined_splits_cut_out_of_the_same_images(tmp_path):
    data, uniforms = opened(tmp_path, size="16"), numbers(2)
    whole = data.cropped([2, 4], CROP, uniforms)
    np.testing.assert_array_equal(data.at([4, 2]).cropped([1, 0], CROP, uniforms), whole)
    np.testing.assert_array_equal(data.part(2).cropped([1, 2], CROP, uniforms), whole)
    both = data.joined(data.at([4, 5]).of_split("test"))
    np.testing.assert_array_equal(both.cropped([6, 2], CROP, uniforms[::-1]), whole[::-1])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(data)).cropped([2, 4], CROP, uniforms), whole)


def test_inputs_that_are_whole_images_are_not_cut():
    data = open_data("digits", None, "train", {})
    assert not data.crops_whole_images
    assert isinstance(data, DataSet)
    with pytest.raises(UsageError, match="are not cut out of larger images; take batch"):
        data.cropped([0], CROP, numbers(1))
