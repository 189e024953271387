import math
import re

import numpy as np
import pytest
import torch
from torch import nn

from holdfast.data import open_data
from holdfast.errors import UsageError
from holdfast.models.architectures import architecture, architecture_names, build
from holdfast.models.architectures.base import architecture_from_spec

SHAPES = {
    "digits-mlp": (1, 8, 8),
    "digits-cnn": (2, 8, 8),
    "mnist-cnn": (2, 28, 28),
    "resnet20": (3, 32, 32),
    "resnet56": (6, 32, 32),
    "resnet110": (3, 16, 16),
    "resnet18": (6, 32, 32),
    "sparse-cnn": (2, 28, 28),
    "wong-small": (1, 8, 8),
    "wong-resnet": (3, 8, 8),
    "carlini-cnn": (1, 28, 28),
    "madry-cnn": (1, 28, 28),
    "fc": (2, 5),
    "wide-resnet": (3, 12, 12),
}


OTHERS = (
    *("autoencoder", "binarized-cnn", "denoised", "ensemble", "exported", "nearest-neighbour", "quantized"),
    *("block-networks", "random-resized", "resnet50"),
    *("abs", "binarized-abs", "feature-squeezing", "magnet"),
    *(
        "dimension-detector",
        "pixel-mixture",
        "projected",
        "prototypes",
        "pruned",
        "region-based",
        "self-ensemble",
        "thermometer",
    ),
)


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_architectures_are_found():
    assert architecture_names() == sorted([*SHAPES, *OTHERS])


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("num_classes", [2, 10])
def test_logits_and_gradient(name, num_classes):
    shape = SHAPES[name]
    module = build(name, shape, num_classes)
    x = torch.rand((2, *shape), requires_grad=True)
    logits = module(x)
    assert logits.shape == (2, num_classes)
    assert logits.dtype == torch.float32
    logits.logsumexp(dim=1).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in module.parameters())


@pytest.mark.parametrize("name", SHAPES)
def test_same_seed_same_weights(name):
    states = []
    for _ in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(5)
            states.append(build(name, SHAPES[name], 10).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize(
    ("name", "count"),
    [
        # He et al. 2016, Table 6: 0.27M, 0.85M, 1.7M.
        ("resnet20", 269_722),
        ("resnet56", 853_018),
        ("resnet110", 1_727_962),
        ("resnet18", 11_173_962),
    ],
)
def test_number_of_parameters(name, count):
    assert size(build(name, (3, 32, 32), 10)) == count


@pytest.mark.parametrize(
    ("depth", "width", "count"),
    # Zagoruyko & Komodakis 2016: 2.7M and 36.5M; networks of 10 classes for CIFAR-10.
    [(16, 4, 2_748_890), (28, 10, 36_479_194)],
)
def test_wide_networks_are_those_of_the_paper(depth, width, count):
    arguments = {"depth": depth, "width": width}
    with torch.device("meta"):
        module = build("wide-resnet", (3, 32, 32), 10, arguments)
        assert size(module) == count
        assert size(build("wide-resnet", (3, 32, 32), 10, {**arguments, "shortcut": "average"})) == count
    layers = [each for each in module.modules() if isinstance(each, nn.Conv2d) and each.kernel_size == (3, 3)]
    # The depth counts the shortcuts by projection, too.
    assert len(layers) + 3 == depth


@pytest.mark.parametrize("side", [4, 7, 32])
def test_both_shortcuts_of_wide_networks_fit_any_size(side):
    for shortcut in ("strided", "average"):
        module = build("wide-resnet", (1, side, side + 1), 3, {"depth": 10, "width": 1, "shortcut": shortcut}).eval()
        assert module(torch.rand(2, 1, side, side + 1)).shape == (2, 3)


def test_wide_networks_leave_out_values_in_training_alone():
    torch.manual_seed(0)
    module = build("wide-resnet", (1, 8, 8), 3, {"depth": 10, "width": 1, "dropout": 0.5})
    x = torch.rand(4, 1, 8, 8)
    assert not torch.equal(module(x), module(x))
    module.eval()
    assert torch.equal(module(x), module(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 18}, "depth of wide-resnet is 6 n + 4, from 10 on"),
        ({"depth": 4}, "depth of wide-resnet is 6 n + 4"),
        ({"width": 0}, "width of wide-resnet is a whole number from 1 on, got 0"),
        ({"dropout": 1.0}, "dropout of wide-resnet lies in [0, 1), got 1.0"),
        ({"shortcut": "zeros"}, "shortcut of wide-resnet is one of strided, average, got 'zeros'"),
    ],
)
def test_what_wide_networks_cannot_be(arguments, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        build("wide-resnet", (3, 32, 32), 10, arguments)


@pytest.mark.parametrize(("name", "layers"), [("resnet20", 20), ("resnet56", 56), ("resnet110", 110), ("resnet18", 18)])
def test_number_of_layers(name, layers):
    modules = build(name, (3, 32, 32), 10).modules()
    # Projections of shortcuts do not count.
    assert sum(isinstance(m, nn.Linear) or (isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)) for m in modules) == (
        layers
    )


def test_mnist_cnn_is_that_of_table_9():
    module = build("mnist-cnn", (2, 28, 28), 10)
    x = torch.rand(1, 2, 28, 28)
    shapes = []
    for layer in module:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    wanted = [(64, 14, 14)] * 2 + [(128, 7, 7)] * 2 + [(6272,)] + [(500,)] * 2 + [(100,)] * 2 + [(10,)]
    assert shapes == wanted


@pytest.mark.parametrize(
    ("shape", "arguments", "features"),
    [((1, 28, 28), {}, 1024), ((3, 32, 32), {"widths": [64, 128], "hidden": 256}, 3200), ((3, 17, 20), {}, 64 * 1 * 2)],
)
def test_carlini_cnn_is_that_of_table_1(shape, arguments, features):
    module = build("carlini-cnn", shape, 10, arguments)
    assert next(layer.in_features for layer in module if isinstance(layer, nn.Linear)) == features
    assert module.eval()(torch.rand(2, *shape)).shape == (2, 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widths": [32]}, "widths are two whole numbers above 0, and hidden is one; got [32] and 200"),
        (
            {"widths": [32, 0.5]},
            "argument widths of carlini-cnn is positive whole numbers, as in 256/128, got [32, 0.5]",
        ),
        ({"hidden": 0}, "got (32, 64) and 0"),
        ({"dropout": 1.0}, "dropout is a share from 0 to below 1, got 1.0"),
    ],
)
def test_carlini_cnn_refuses_what_it_cannot_be(arguments, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        build("carlini-cnn", (1, 28, 28), 10, arguments)


def test_madry_cnn_is_that_of_the_paper():
    """Two convolutions with 32 and 64 filters, each followed by pooling over 2 x 2, and 1,024 units."""
    module = build("madry-cnn", (1, 28, 28), 10)
    x, shapes = torch.rand(1, 1, 28, 28), []
    for layer in module:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    first, second = [(32, 28, 28)] * 2 + [(32, 14, 14)], [(64, 14, 14)] * 2 + [(64, 7, 7)]
    assert shapes == [*first, *second, (3136,), (1024,), (1024,), (10,)]
    assert size(module) == 3_274_634


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 29, 31), (2, 32, 32), (1, 5, 18)])
@pytest.mark.parametrize("name", ["mnist-cnn", "sparse-cnn"])
def test_networks_for_mnist_take_other_sizes(name, shape):
    assert build(name, shape, 3)(torch.rand(2, *shape)).shape == (2, 3)


def test_sparse_cnn_has_blocks_that_begin_as_wide_as_asked():
    plain, deep = (build("sparse-cnn", (2, 28, 28), 10, {"width": 64, "blocks": blocks}) for blocks in (0, 2))
    assert size(deep) - size(plain) == 2 * 2 * (64 * 64 * 9 + 2 * 64)


@pytest.mark.parametrize("kernel", [2, 4, 6, 8])
def test_windows_of_sparse_cnn_halve_the_image(kernel):
    assert build("sparse-cnn", (2, 28, 28), 10, {"kernel": kernel})[:3](torch.rand(1, 2, 28, 28)).shape[2:] == (14, 14)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"blocks": -1}, "blocks from 0 on, a whole number; got -1"),
        ({"first": 0}, "first from 1 on, a whole number; got 0"),
        ({"width": 1.5}, "width from 1 on, a whole number; got 1.5"),
        ({"kernel": 5}, "an even kernel from 2 on, which halves height and width; got 5"),
        ({"kernel": 0}, "an even kernel from 2 on, which halves height and width; got 0"),
    ],
)
def test_sparse_cnn_refuses_what_it_cannot_be(arguments, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        build("sparse-cnn", (2, 28, 28), 10, arguments)


def test_shortcuts_have_no_parameters_and_keep_every_second_pixel():
    block = build("resnet20", (3, 32, 32), 10).layer2[0].eval()
    nn.init.zeros_(block.bn2.weight)
    x = torch.rand(1, 16, 32, 32)
    out = block(x)
    assert out.shape == (1, 32, 16, 16)
    assert torch.equal(out[:, 8:24], x[:, :, ::2, ::2])
    assert not out[:, :8].any()
    assert not out[:, 24:].any()


def test_projections_are_option_b():
    plain, projected = (build("resnet110", (3, 32, 32), 10, args) for args in ({}, {"shortcut": "projection"}))
    # Two convolutions of 1 x 1 and their normalizations: 16 x 32 + 2 x 32 and 32 x 64 + 2 x 64.
    assert size(projected) == size(plain) + 16 * 32 + 64 + 32 * 64 + 128
    assert projected.eval()(torch.rand(2, 3, 32, 32)).shape == (2, 10)
    with pytest.raises(UsageError, match="argument shortcut is zeros or projection, got 'none'"):
        build("resnet20", (3, 32, 32), 10, {"shortcut": "none"})


def test_published_weights_of_resnet20_load_and_classify(data_folder):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    saved = torch.load(data_folder / "weights" / "resnet20-12fca82f.th", weights_only=True, map_location="cpu")
    module = build("resnet20", (3, 32, 32), 10).eval()
    module.load_state_dict({key.removeprefix("module."): value for key, value in saved["state_dict"].items()})
    data = open_data("parquet", data_folder / "cifar10", "test", {})
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        labels = module((torch.from_numpy(data.batch(range(500))) - mean) / deviation).argmax(dim=1).numpy()
    torch.set_num_threads(threads)
    # 91.7% on the original images; on these JPEG copies of quality 75 it is 81.5%, and another shortcut gives far less.
    assert np.mean(labels == data.labels[:500]) > 0.75


@pytest.mark.parametrize("name", ["digits-mlp", "fc"])
def test_widths_of_a_spec(name):
    name, arguments = architecture_from_spec(f"{name}:widths=16/8")
    hidden = [layer.out_features for layer in build(name, (5,), 4, arguments) if isinstance(layer, nn.Linear)]
    assert hidden == [16, 8, 4]


@pytest.mark.parametrize("widths", [(), 32, [32], (64, 32, 16)])
def test_widths_of_digits_mlp(widths):
    module = build("digits-mlp", (5,), 4, {"widths": widths})
    hidden = [widths] if isinstance(widths, int) else list(widths)
    assert [layer.out_features for layer in module if isinstance(layer, nn.Linear)] == [*hidden, 4]
    assert module(torch.rand(3, 5)).shape == (3, 4)


@pytest.mark.parametrize("widths", [0, (64, -1), "64", (64.5,), True, None, 3.5, (math.inf,), (math.nan,)])
def test_widths_that_cannot_be(widths):
    with pytest.raises(UsageError, match="argument widths of digits-mlp is positive whole numbers, as in 256/128, got"):
        build("digits-mlp", (1, 8, 8), 10, {"widths": widths})


def test_unknown_name():
    with pytest.raises(
        UsageError,
        match="unknown architecture 'vgg'; known are abs, autoencoder, binarized-abs, ",
    ):
        build("vgg", (3, 32, 32), 10)


@pytest.mark.parametrize(("name", "known"), [("digits-mlp", "widths"), ("resnet20", "shortcut"), ("resnet18", "none")])
def test_unknown_argument(name, known):
    with pytest.raises(UsageError, match=f"architecture '{name}' has no argument 'depth'; it takes {known}"):
        build(name, (3, 8, 8), 10, {"depth": 3})


@pytest.mark.parametrize("num_classes", [1, 0, 10.0, True])
def test_number_of_classes(num_classes):
    with pytest.raises(UsageError, match=f"'digits-mlp' needs at least 2 classes, got {num_classes}"):
        build("digits-mlp", (4,), num_classes)


@pytest.mark.parametrize("shape", [(), (2, 0), (1, 3, 8, 8), (0,), (1, 8.0, 8)])
def test_shape_of_no_form(shape):
    with pytest.raises(UsageError, match=r"\(features,\), \(channels, features\) or \(channels, height, width\), got"):
        build("digits-mlp", shape, 10)


def test_ablated_features_have_two_channels():
    assert build("digits-mlp", (2, 5), 3)(torch.rand(4, 2, 5)).shape == (4, 3)
    with pytest.raises(UsageError, match=r"takes images \(channels, height, width\), got inputs of shape \(2, 5\)"):
        build("resnet20", (2, 5), 3)


@pytest.mark.parametrize(
    "name", ["mnist-cnn", "sparse-cnn", "resnet20", "resnet56", "resnet110", "resnet18", "resnet50"]
)
def test_features_where_images_are_taken(name):
    expected = rf"'{name}' takes images \(channels, height, width\).*, got inputs of shape \(64,\); choose another of"
    with pytest.raises(UsageError, match=expected):
        build(name, (64,), 10)


@pytest.mark.parametrize(("name", "smallest"), [("mnist-cnn", 4), ("sparse-cnn", 4), ("resnet50", 32)])
def test_images_that_are_too_small(name, smallest):
    with pytest.raises(UsageError, match=rf"of at least {smallest} x {smallest} pixels, got inputs of shape \(3, 3, 3"):
        build(name, (3, 3, 32), 10)


@pytest.mark.parametrize("shape", [(64,), (1, 28, 28)])
def test_digits_cnn_takes_digits_only(shape):
    with pytest.raises(UsageError, match=r"'digits-cnn' takes images \(channels, 8, 8\), got inputs of shape .*any sh"):
        build("digits-cnn", shape, 10)


def test_a_name_is_given_once():
    with pytest.raises(TypeError, match="two architectures are named 'resnet20'"):
        architecture("resnet20")(lambda shape, num_classes: nn.Identity())


@pytest.mark.parametrize("channels", [3, 6])
def test_resnet50_takes_images_with_any_channels(channels):
    network = build("resnet50", (channels, 32, 32), 1000).eval()
    assert network(torch.rand(1, channels, 32, 32)).shape == (1, 1000)


def test_resnet50_has_the_parameters_and_names_of_torchvision():
    """torchvision, resnet50: 25,557,032 parameters; its weights load without renaming."""
    network = build("resnet50", (3, 224, 224), 1000)
    assert size(network) == 25_557_032
    names = set(network.state_dict())
    assert len(names) == 320
    expected = {"conv1.weight", "bn1.running_var", "fc.bias", "layer1.0.downsample.0.weight"}
    expected |= {"layer1.0.downsample.1.bias", "layer3.5.conv3.weight", "layer4.2.bn3.num_batches_tracked"}
    assert expected <= names


def test_resnet50_computes_what_torchvision_computes():
    torchvision = pytest.importorskip("torchvision")
    ours, theirs = build("resnet50", (3, 64, 64), 10).eval(), torchvision.models.resnet50(num_classes=10).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.rand(2, 3, 64, 64)
    assert torch.allclose(ours(x), theirs(x), atol=1e-5)


def test_resnet50_for_small_images_has_the_stem_of_resnet18():
    """Levine & Feizi 2020, Table 5: the published program for CIFAR-10 has 23,520,842 parameters with 3 channels."""
    network = build("resnet50", (3, 32, 32), 10, {"stem": "cifar"}).eval()
    assert size(network) == 23_520_842
    small = build("resnet18", (3, 32, 32), 10)
    first = (network.conv1.kernel_size, network.conv1.stride, network.conv1.padding)
    assert first == (small.conv1.kernel_size, small.conv1.stride, small.conv1.padding) == ((3, 3), (1, 1), (1, 1))
    sides = []
    for number in range(1, 5):
        network.get_submodule(f"layer{number}").register_forward_hook(lambda *given: sides.append(given[2].shape[2:]))
    assert network(torch.rand(1, 3, 32, 32)).shape == (1, 10)
    assert sides == [(32, 32), (16, 16), (8, 8), (4, 4)]
    build("resnet50", (6, 8, 8), 10, {"stem": "cifar"})
    with pytest.raises(UsageError, match="argument stem is imagenet or cifar, got 'mnist'"):
        build("resnet50", (3, 32, 32), 10, {"stem": "mnist"})
    with pytest.raises(UsageError, match="of at least 8 x 8 pixels"):
        build("resnet50", (3, 4, 8), 10, {"stem": "cifar"})
