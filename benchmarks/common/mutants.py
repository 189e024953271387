"""Small changes to a module, each of which some test should notice, for `benchmarks/mutation.py`.

Annotations, docstrings, imports and messages stay unchanged, since changes there are no faults of behaviour.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}
# Functions and methods, each with its replacement.
_CALLED = {
    "all": "any", "any": "all", "ceil": "floor", "floor": "ceil", "min": "max", "max": "min", "down": "up",
    "up": "down", "float_above": "float_below", "float_below": "float_above", "lower_bound": "upper_bound",
    "upper_bound": "lower_bound", "normal_quantile_lower": "normal_quantile_upper",
    "normal_quantile_upper": "normal_quantile_lower",
}  # fmt: skip
# Parameters whose change by 2% gives a false guarantee.
_SCALES = {"alpha", "b", "half_width", "kappa", "p_lower", "p_upper", "sigma"}


@dataclass(frozen=True)
class Mutant:
    """A module with one change.

    Attributes:
        source: of the module.
        line: of the change, 1-based.
        change: in words: the code before and after.
        place: number of the changed expression or statement, in the order of the text.
        number: of the change, among those of this place.
    """

    source: str
    line: int
    change: str
    place: int
    number: int

    def tree(self) -> ast.Module:
        """The whole module, changed."""
        tree = ast.parse(self.source)
        node = next(each for place, each in enumerate(_places(tree)) if place == self.place)
        replacement = list(_changes(node))[self.number]
        _Replacing(node, replacement).visit(tree)
        return ast.fix_missing_locations(tree)


def mutants(source: str) -> list[Mutant]:
    """All mutants of a module, in the order of its text."""
    made = []
    for place, node in enumerate(_places(ast.parse(source))):
        for number, changed in enumerate(_changes(node)):
            words = f"{_first_line(node)}  ->  {_first_line(changed)}"
            made.append(Mutant(source, node.lineno, words, place, number))
    return made


def _first_line(node: ast.AST) -> str:
    return ast.unparse(node).partition("\n")[0]


class _Replacing(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return ast.copy_location(self.new, node) if node is self.old else self.generic_visit(node)


def _places(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """The expressions and statements of a tree that may be changed."""
    if isinstance(node, ast.expr | ast.stmt):
        yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list") or isinstance(node, ast.JoinedStr):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _left_alone(node, child):
                yield from _places(child)


def _left_alone(parent: ast.AST, child: ast.AST) -> bool:
    if isinstance(child, ast.Import | ast.ImportFrom):
        return True
    if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
        return True
    # The message of an error.
    return isinstance(parent, ast.Raise)


def _changes(node: ast.expr | ast.stmt) -> Iterator[ast.expr | ast.stmt]:
    """The replacements of an expression or a statement."""
    if isinstance(node, ast.Compare):
        for number, operator in enumerate(node.ops):
            for other in _COMPARISONS[type(operator)]:
                yield ast.Compare(node.left, [*node.ops[:number], other(), *node.ops[number + 1 :]], node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        yield ast.BinOp(node.left, _OPERATORS[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        yield node.operand
    elif isinstance(node, ast.Constant):
        yield from (ast.Constant(value) for value in _numbers(node.value))
    elif isinstance(node, ast.Call):
        yield from _other_calls(node)
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and node.attr in _SCALES:
        for off in (0.98, 1.02):
            yield ast.BinOp(node, ast.Mult(), ast.Constant(off))
    elif isinstance(node, ast.If | ast.While | ast.IfExp) and not _turned_itself(node.test):
        changed = copy.copy(node)
        changed.test = ast.UnaryOp(ast.Not(), node.test)
        yield changed
    elif isinstance(node, ast.Raise | ast.AugAssign) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ):
        yield ast.Pass()


def _turned_itself(test: ast.expr) -> bool:
    """Whether one of the changes of a condition is its opposite already."""
    return isinstance(test, ast.UnaryOp) or (isinstance(test, ast.Compare) and len(test.ops) == 1)


def _numbers(value: object) -> Iterator[bool | int | float]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
        yield value - 1
    elif isinstance(value, float):
        yield value * 1.02 or 0.02
        yield value * 0.98 or -0.02


def _other_calls(node: ast.Call) -> Iterator[ast.expr]:
    name = node.func
    if isinstance(name, ast.Name) and name.id in _CALLED:
        yield ast.Call(ast.Name(_CALLED[name.id], ast.Load()), node.args, node.keywords)
    elif isinstance(name, ast.Attribute) and name.attr in _CALLED:
        yield ast.Call(ast.Attribute(name.value, _CALLED[name.attr], ast.Load()), node.args, node.keywords)
