"""What the kernels of one JupyterLab tell each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from clara_kit.lab.kernel import SHARED, Kernel


class Listener:
    """Stands where a desk would."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def choose(self, *, prompt: str) -> None:
        self.prompts.append(prompt)


def test_a_prompt_chosen_in_one_notebook_is_taken_once_in_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHARED, str(tmp_path / "prompt"))
    studio, desks, desk = Kernel(), Kernel(), Listener()
    desks.follow(desk.choose)
    assert desks.prompt == "warm"
    for _ in range(2):  # also where the same one is chosen again
        studio.use("mine/warm.v2")
        assert [desks.prompt, desks.prompt, Kernel().prompt] == ["mine/warm.v2"] * 3
    assert desk.prompts == ["mine/warm.v2"] * 2


def test_without_a_lab_every_kernel_is_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SHARED, raising=False)
    Kernel().use("brief")
    assert Kernel().prompt == "warm"
