import pytest

from medcolor.reference.credit import copy_credits, read_credit

LIBRARY = "Visible Human male\nCourtesy of a library.\nFrom https://there\nTerms: free\n"


@pytest.mark.parametrize("where", ["", "cryosection"])
def test_the_credit_lies_in_the_folder_or_the_one_around(tmp_path, where):
    photographs = tmp_path / "cryosection"
    photographs.mkdir()
    (tmp_path / where / "CREDITS.txt").write_text(LIBRARY)
    assert read_credit(photographs) == "Visible Human male. Courtesy of a library."


@pytest.mark.parametrize("content", [None, b"", b"\n \n"])
def test_nobody_named_is_no_credit(tmp_path, content):
    if content is not None:
        (tmp_path / "CREDITS.txt").write_bytes(content)
    assert read_credit(tmp_path) == ""


def test_bytes_that_are_no_text_and_endless_lines_are_cut(tmp_path):
    (tmp_path / "CREDITS.txt").write_bytes(b"\xff\xfe" + b"x" * 10_000)
    credit = read_credit(tmp_path)
    assert 100 < len(credit) <= 301


def test_it_travels_with_what_is_prepared(tmp_path):
    frames, prepared = tmp_path / "a" / "frames", tmp_path / "b" / "prepared"
    frames.mkdir(parents=True)
    copy_credits(frames, prepared)
    assert not prepared.exists()
    (tmp_path / "a" / "CREDITS.txt").write_text(LIBRARY)
    copy_credits(frames, prepared)
    assert read_credit(prepared) == "Visible Human male. Courtesy of a library."
