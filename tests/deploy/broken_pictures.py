"""Files that no station can judge, of many kinds, made from a seed."""

from __future__ import annotations

import os
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

SUFFIXES = {"PNG": "png", "JPEG": "jpg", "BMP": "bmp", "TIFF": "tif", "WEBP": "webp"}


def encoded(rng: np.random.Generator, kind: str) -> bytes:
    """A sound picture of noise, which no decoder can guess the rest of."""
    data = BytesIO()
    image = Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    image.save(data, format=kind, **({"compression": "tiff_lzw"} if kind == "TIFF" else {}))
    return data.getvalue()


def write_broken(folder: Path, *, seed: int = 0) -> list[Path]:
    """Write 200 of them; every name ends like a picture's.

    Returns:
        All paths, none of which holds one readable picture.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    contents: list[tuple[str, bytes]] = []
    for number in range(75):  # cut short at a random place
        kind = list(SUFFIXES)[number % 5]
        whole = encoded(rng, kind)
        contents.append((SUFFIXES[kind], whole[: int(rng.integers(1, len(whole) * 9 // 10))]))
    for number in range(50):  # bytes changed where nothing can be recovered: in the first twelve
        kind = list(SUFFIXES)[number % 5]
        noisy = bytearray(encoded(rng, kind))
        for place in range(12):
            noisy[place] ^= int(rng.integers(1, 256))
        contents.append((SUFFIXES[kind], bytes(noisy)))
    for _ in range(20):  # a byte of a checked chunk of a PNG flipped
        noisy = bytearray(encoded(rng, "PNG"))
        noisy[int(rng.integers(16, 29))] ^= 0xFF
        contents.append(("png", bytes(noisy)))
    contents += [(suffix, b"") for suffix in SUFFIXES.values()]
    contents += [(suffix, b"This is not a picture.\n" * 9) for suffix in SUFFIXES.values()]
    contents += [(suffix, rng.bytes(3000)) for suffix in SUFFIXES.values()]
    contents += [
        ("png", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("jpg", b"%PDF-1.7\n"),
        ("png", b"PK\x03\x04" * 99),
    ]
    contents += [("png", png_header(side, side)) for side in (10_000, 14_000, 60_000)]  # 100 million pixels and more
    contents += [("png", png_header(0, 9)), ("png", png_with_text_bomb()), ("bmp", bmp_bomb()), ("png", whole_bomb())]
    contents += [("gif.png", animated("GIF")), ("tif", animated("TIFF")), ("webp", animated("WEBP"))]
    contents += [("tif", as_tiff(np.zeros((9, 9), np.float32))), ("tif", as_tiff(np.zeros((9, 9), np.int32)))]
    paths = []
    for number, (suffix, data) in enumerate(contents):
        paths.append(folder / f"{number:03d}.{suffix}")
        paths[-1].write_bytes(data)
    paths += special(folder)
    while len(paths) < 200:
        paths.append(folder / f"{len(paths):03d}.jpg")
        paths[-1].write_bytes(encoded(rng, "JPEG")[: 200 + 5 * len(paths)])
    return paths


def special(folder: Path) -> list[Path]:
    """What is no regular file, or cannot be opened."""
    paths = [folder / f"special_{name}.png" for name in ("folder", "pipe", "loop", "nowhere", "folder_link", "device")]
    paths[0].mkdir()
    os.mkfifo(paths[1])
    paths[2].symlink_to(paths[2].name)
    paths[3].symlink_to("is_not_there.png")
    paths[4].symlink_to(folder.parent)
    paths[5].symlink_to("/dev/zero")
    if os.geteuid() != 0:
        paths.append(folder / "special_forbidden.png")
        paths[-1].write_bytes(encoded(np.random.default_rng(0), "PNG"))
        paths[-1].chmod(0)
    return paths


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int, *more: bytes) -> bytes:
    """A PNG that promises a size."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


def png_with_text_bomb() -> bytes:
    """A small PNG with a text that unpacks to 80 MB."""
    return png_header(8, 8, chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80_000_000), 9)))


def whole_bomb() -> bytes:
    """A complete PNG of 100 million black pixels in 100 kB."""
    data = BytesIO()
    Image.new("1", (10_000, 10_000)).save(data, format="PNG")
    return data.getvalue()


def bmp_bomb() -> bytes:
    data = bytearray(encoded(np.random.default_rng(0), "BMP"))
    data[18:26] = struct.pack("<ii", 40_000, 40_000)
    return bytes(data)


def animated(kind: str) -> bytes:
    """Two pictures in one file."""
    data = BytesIO()
    first, second = (Image.new("RGB", (20, 20), colour) for colour in ("black", "white"))
    first.save(data, format=kind, save_all=True, append_images=[second])
    return data.getvalue()


def as_tiff(values: np.ndarray) -> bytes:
    data = BytesIO()
    Image.fromarray(values).save(data, format="TIFF")
    return data.getvalue()
