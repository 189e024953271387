"""The parts of `benchmarks/gpu.py`: its steps, each in processes of its own, what they find, and the page about it.

`plan`, `results`, `children`, `lacks` and `page` need Python alone, so that the program says what a machine lacks.
"""
