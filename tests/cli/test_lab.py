"""The course in copies of one's own."""

from __future__ import annotations

from pathlib import Path

from clara_kit.cli.lab import CourseContents, own_copy


def test_only_a_notebook_of_the_course_is_kept_in_a_copy_and_another_version_brings_its_own(tmp_path: Path) -> None:
    shipped = tmp_path / "notebooks" / "00_start_here.ipynb"
    shipped.parent.mkdir()
    shipped.write_text("first", encoding="utf-8")
    contents = CourseContents(root_dir=str(tmp_path))
    first = Path(contents._get_os_path("/notebooks/00_start_here.ipynb"))
    assert first.parent == tmp_path / "notebooks" / "mine" / "course" and first.read_text(encoding="utf-8") == "first"
    first.write_text("changed by a reader", encoding="utf-8")
    assert own_copy(shipped, "00_start_here") == first
    shipped.write_text("second", encoding="utf-8")
    assert own_copy(shipped, "00_start_here").read_text(encoding="utf-8") == "second"
    assert first.read_text(encoding="utf-8") == "changed by a reader"
    for other in ("notebooks/mine/x.ipynb", "notebooks/01_gone.ipynb", "data/00_start_here.ipynb"):
        assert contents._get_os_path(other) == str(tmp_path / other)
    first.unlink()
    shipped.write_text("first", encoding="utf-8")
    assert own_copy(shipped, "00_start_here").read_text(encoding="utf-8") == "first"
