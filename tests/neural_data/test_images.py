"""Image files are seen as they are meant: in the depth of their type, upright, and only as far as memory allows."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from neural_data import InputError, StimulusSet, read_stimuli
from neural_data.images import decode_image, unit_range

RAMP = np.tile(np.linspace(0, 1, 64), (4, 1))


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(buffer, kind, **options)
    return buffer.getvalue()


def shown(content):
    return unit_range(decode_image(content, "it").pixels)


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [("u1", "PNG"), ("u2", "PNG"), ("u2", "TIFF"), ("u2", "PPM"), ("i4", "TIFF"), ("f4", "TIFF")],
)
def test_black_and_white_are_those_of_the_type(dtype, kind):
    largest = 1 if dtype == "f4" else np.iinfo(dtype).max
    content = encoded((RAMP * largest).astype(dtype), kind)
    np.testing.assert_allclose(shown(content), RAMP, atol=1 / 255)
    assert (shown(content) == 1).mean() == 1 / 64


def test_an_unsigned_tiff_of_32_bits_reaches_white():
    image = Image.fromarray((RAMP * (2**31 - 1)).astype("i4"))
    content = bytearray(encoded(image, "TIFF"))
    sample_format = struct.pack("<HHI", 339, 3, 1)
    place = content.index(sample_format) + len(sample_format)
    content[place] = 1  # unsigned, where Pillow writes signed
    np.testing.assert_allclose(shown(bytes(content)), RAMP / 2, atol=1e-6)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ((RAMP * 255).astype("f4"), "values from 0 to 255; values of this type must lie between 0"),
        ((RAMP - 0.5).astype("f4"), "values from -0.5 to 0.5"),
        (np.full((4, 4), np.nan, "f4"), "not finite"),
        ((RAMP * 100 - 50).astype("i4"), "values from -50 to 50"),
    ],
)
def test_numbers_that_are_no_shades_are_refused(image, message):
    with pytest.raises(InputError, match=message):
        decode_image(encoded(image, "TIFF"), "it")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_as_its_tag_says(kind, orientation):
    tag = Image.Exif()
    tag[0x0112] = orientation
    pixels = np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3) * 50, np.ones((8, 8), np.uint8))
    content = encoded(Image.fromarray(pixels).convert("RGB"), kind, exif=tag)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    np.testing.assert_array_equal(decode_image(content, "it").pixels, upright)


def test_of_an_animation_the_first_picture_is_shown_and_that_is_said(faces, tmp_path, caplog):
    frames = [Image.new("L", (8, 8), level) for level in (0, 128, 255)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "stimulus_set.csv").write_text("stimulus_id,filename\na,a.gif\n")
    assert read_stimuli(tmp_path).images().max() == 0
    assert "1 files hold several pictures; the first of each is shown" in caplog.text


def test_pixels_in_memory_are_scaled_by_their_type(faces):
    eight = StimulusSet(faces.table, pixels=faces.pixels).images()
    sixteen = StimulusSet(faces.table, pixels=faces.pixels.astype(np.uint16) * 257).images()
    fractions = StimulusSet(faces.table, pixels=faces.pixels / 255).images()
    np.testing.assert_allclose(sixteen, eight, atol=1e-6)
    np.testing.assert_allclose(fractions, eight, atol=1e-6)
    for pixels, message in ((faces.pixels * 1.0, "run from 0 to 255"), (faces.pixels.astype(int), "pixels are int64")):
        with pytest.raises(InputError, match=message):
            StimulusSet(faces.table, pixels=pixels)


def test_deep_images_on_disk_decode_prepare_and_check_alike(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(encoded((RAMP * (20_000 * (i + 1))).astype("u2"), "PNG"))
    (tmp_path / "stimulus_set.csv").write_text("stimulus_id,filename\n" + "".join(f"{i},{i}.png\n" for i in range(3)))
    stimuli = read_stimuli(tmp_path)
    decoded = stimuli.decode()
    assert decoded.pixels.dtype == np.uint16
    assert decoded.checksum() == stimuli.checksum()
    np.testing.assert_array_equal(decoded.images(4), stimuli.images(4))
    assert stimuli.images()[:, 0, 0, -1].tolist() == pytest.approx([20_000 / 65535, 40_000 / 65535, 60_000 / 65535])


def test_an_image_that_unpacks_to_gigabytes_is_refused():
    content = encoded(Image.new("1", (20_000, 20_000)), "PNG")
    assert len(content) < 100_000
    with pytest.raises(InputError, match=r"20000 x 20000 pixels; at most 50,000,000|exceeds limit"):
        decode_image(content, "it")


@pytest.mark.parametrize("content", [None, b"", b"\x89PNG\r\n\x1a\n", "text", 3])
def test_what_is_no_image_is_one_message(content):
    with pytest.raises(InputError, match="it is not a readable image"):
        decode_image(content, "it")
