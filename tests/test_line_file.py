"""Lines that are there whole or not at all."""

import pytest

from anomalib_federated.line_file import LineFile, LinesLostError


def whole(line, number):
    return line


@pytest.fixture
def path(tmp_path):
    (tmp_path / "lines").touch()
    return tmp_path / "lines"


def test_each_line_is_read_once(path):
    reader, writer = LineFile(path), LineFile(path)
    writer.append(b"one")
    writer.append(b"two")
    assert reader.read(whole) == [b"one", b"two"]
    writer.append(b"")
    assert reader.read(whole) == [b""]
    assert reader.read(whole) == []


def test_half_a_line_does_not_count_and_is_written_over(path):
    LineFile(path).append(b"one")
    path.write_bytes(path.read_bytes() + b"tw")
    reader = LineFile(path)
    assert reader.read(whole) == [b"one"]
    LineFile(path).append(b"three")
    assert reader.read(whole) == [b"three"]
    assert path.read_bytes() == b"one\nthree\n"


def test_half_a_first_line_is_written_over(path):
    path.write_bytes(b"on")
    LineFile(path).append(b"two")
    assert path.read_bytes() == b"two\n"


def test_lost_lines_are_missed(path):
    reader = LineFile(path)
    reader.append(b"one")
    reader.read(whole)
    path.write_bytes(b"")
    with pytest.raises(LinesLostError, match="lost lines"):
        reader.read(whole)


def test_a_file_must_be_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        LineFile(tmp_path / "none").append(b"x")


def test_lines_are_numbered_through_all_reads(path):
    reader = LineFile(path)
    reader.append(b"one")
    assert reader.read(lambda line, number: number) == [1]
    reader.append(b"two")
    assert reader.read(lambda line, number: number) == [2]


def test_lines_that_could_not_be_read_come_again(path):
    reader = LineFile(path)
    reader.append(b"one")
    reader.append(b"two")
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            reader.read(lambda line, number: int(line))
    assert reader.read(whole) == [b"one", b"two"]
