from holdfast.analysis.lines import Line, picture


def test_lines_become_one_picture_with_a_legend():
    lines = [Line(f"line {number}", ((0.0, 0.1 * number), (1.0, 0.9))) for number in range(8)]
    svg = picture(lines, "pixels", "share", share=True)
    assert svg.startswith("<svg")
    assert all(f"line {number}" in svg for number in range(8))
    assert "pixels" in svg
    assert "100%" in svg


def test_a_logarithmic_axis():
    svg = picture([Line("n", ((10.0, 1.0), (1e6, 2.0)))], "samples", "radius", logarithmic=True)
    assert "100k" in svg
