"""`holdfast report` of an attack by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attack_cases

if TYPE_CHECKING:
    from pathlib import Path

    from program import Call


def test_an_attack_is_reported_alone(call: Call, tmp_path: Path) -> None:
    folder, out = tmp_path / "attack", tmp_path / "attack.html"
    attack_cases.attack(folder, attack_cases.attack_manifest(size=3))
    code, _, err = call("report", folder, "--out", out, "--title", "Mine <b>")
    assert code == 0, err
    assert "<h1>Mine &lt;b&gt;</h1>" in out.read_text(encoding="utf-8")
    for more in ((folder,), ("--radii", "0,1"), ("--attack", folder)):
        code, _, err = call("report", folder, *more, "--out", out)
        assert code != 0
        assert "an attack is reported alone" in err
