"""No reader opens what is no ordinary file, reads outside the place that was named, or fills the memory."""

from __future__ import annotations

import os
import time
import zipfile

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.io
import xarray as xr

from neural_data import InputError, read_recording, read_stimuli, write_stimuli
from neural_data.formats.bounds import checked_file, refuse_claim, visible_files, whole_file
from neural_data.formats.hdf5 import closed_hdf5
from neural_data.naming import file_names


def small_assembly(path, **options):
    xr.Dataset(
        {"data": (("presentation", "neuroid"), np.ones((4, 4)))},
        coords={
            "stimulus_id": ("presentation", list("abcd")),
            "neuroid_id": ("neuroid", list("wxyz")),
            "region": ("neuroid", ["AL"] * 4),
        },
    ).to_netcdf(path, engine="h5netcdf", **options)
    return path


def external_storage(folder):
    with h5py.File(folder / "r.nc", "w") as file:
        file.create_dataset("data", (4, 4), "u1", external=[(str(folder / "private"), 0, h5py.h5f.UNLIMITED)])
    return folder / "r.nc"


def external_link(folder):
    path = small_assembly(folder / "r.nc")
    with h5py.File(path, "a") as file:
        file["more"] = h5py.ExternalLink(str(folder / "other.h5"), "/x")
    return path


def virtual(folder):
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "x", (4,))
    with h5py.File(folder / "r.nc", "w") as file:
        file.create_virtual_dataset("data", layout)
    return folder / "r.nc"


def cycle(folder):
    path = small_assembly(folder / "r.nc")
    with h5py.File(path, "a") as file:
        file.create_group("a/b")
        file["a/b/c"] = file["a"]
    return path


def soft_cycle(folder):
    path = small_assembly(folder / "r.nc")
    with h5py.File(path, "a") as file:
        file.create_group("a")
        file["a/b"] = h5py.SoftLink("/a")
    return path


def deep(folder):
    path = small_assembly(folder / "r.nc")
    with h5py.File(path, "a") as file:
        file.create_group("/".join("g" * 100))
    return path


def claims_much(folder):
    with h5py.File(folder / "r.nc", "w") as file:
        file.create_dataset("data", (60_000, 60_000), "f8", chunks=(1000, 1000))
    return folder / "r.nc"


def claims_much_of_little(folder):
    with h5py.File(folder / "r.nc", "w") as file:
        file.create_dataset("data", (6_000, 60_000), "f8", chunks=(1000, 1000))
    return folder / "r.nc"


def matlab_73(folder):
    with h5py.File(folder / "r.mat", "w", userblock_size=512) as file:
        file.create_dataset("raster_data", (60_000, 60_000), "f8", chunks=(1000, 1000))
        file["raster_labels/stimulus_id"] = np.arange(3)
        file["raster_site_info/alignment_event_time"] = np.array([[101.0]])
    with (folder / "r.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(512))
    return folder / "r.mat"


def cell_in_itself(folder):
    with h5py.File(folder / "r.mat", "w", userblock_size=512) as file:
        file["raster_data"] = np.ones((500, 3))
        labels = file.create_dataset("raster_labels", (2,), dtype=h5py.ref_dtype)
        labels[:] = [labels.ref, labels.ref]
    with (folder / "r.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(512))
    return folder / "r.mat"


def matlab_5(folder):
    scipy.io.savemat(folder / "r.mat", {"raster_data": np.zeros((200_000_000,), np.uint8)[:0]}, do_compression=True)
    content = bytearray((folder / "r.mat").read_bytes())
    content[128:136] = np.array([14, 2**31], "<u4").tobytes()  # an element that claims two gigabytes
    (folder / "r.mat").write_bytes(content)
    return folder / "r.mat"


def many_rows(folder):
    ids = pa.DictionaryArray.from_arrays(pa.array(np.zeros(3_000_000, np.int32)), pa.array(["s" * 100]))
    pq.write_table(pa.table({"stimulus_id": ids}), folder / "r.parquet")
    return folder / "r.parquet"


def netcdf_3(folder):
    small_assembly(folder / "a.nc")
    with xr.open_dataset(folder / "a.nc", engine="h5netcdf") as found:
        found.load().to_netcdf(folder / "r.nc", engine="scipy")
    content = bytearray((folder / "r.nc").read_bytes())
    place = content.index(b"presentation") + 12
    content[place : place + 4] = np.array([2**30], ">u4").tobytes()
    (folder / "r.nc").write_bytes(content)
    return folder / "r.nc"


def fifo(folder):
    os.mkfifo(folder / "r.nc")
    return folder / "r.nc"


def device(folder):
    return "/dev/zero"


def link_loop(folder):
    (folder / "r.nc").symlink_to(folder / "r.nc")
    return folder / "r.nc"


def dangling(folder):
    (folder / "r.nc").symlink_to(folder / "gone")
    return folder / "r.nc"


def long_name(folder):
    return folder / ("x" * 5000)


def nul(folder):
    return str(folder / "r\0.nc")


HOSTILE = {
    external_storage: "numbers of /data lie in another file",
    external_link: "/more is a link to another file",
    virtual: "numbers of /data lie in another file",
    cycle: "contains itself",
    soft_cycle: "contains itself",
    deep: "nested deeper than 64",
    claims_much: r"variable data \(60000 x 60000\) would take 28.8 GB",
    claims_much_of_little: r"would take 2.88 GB, but the file has 0.00 MB",
    matlab_73: r"raster_data \(60000 x 60000\) would take 28.8 GB",
    cell_in_itself: "nested too deeply, or in itself",
    matlab_5: "claims 2,147,483,648 bytes",
    many_rows: "would take 0.19 GB, but the file has",
    netcdf_3: "not readable|claims",
    fifo: "is not an ordinary file but a FIFO",
    device: "is not an ordinary file but a device",
    link_loop: "a link that leads back to itself",
    dangling: "a link to something that does not exist",
    long_name: r"is too long for the name of a file or folder \(5000 characters",
    nul: "cannot contain a NUL",
}


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_hostile_recordings_are_one_message_at_once(tmp_path, make):
    (tmp_path / "private").write_text("not yours: 0123456789abcdef")
    path = make(tmp_path)
    start = time.process_time()
    with pytest.raises(InputError, match=HOSTILE[make]) as caught:
        read_recording(path)
    assert time.process_time() - start < 5
    assert "\n" not in str(caught.value)


def test_a_file_without_permission_is_one_message(tmp_path, monkeypatch):
    path = tmp_path / "r.csv"
    path.write_text("a,b\n1,2\n")
    plain_open = type(path).open

    def closed(self, *args, **kwargs):
        if self == path:
            raise PermissionError(13, "Permission denied")
        return plain_open(self, *args, **kwargs)

    monkeypatch.setattr(type(path), "open", closed)  # as root, who may read everything, sees it
    with pytest.raises(InputError, match=r"r\.csv: no permission to read it"):
        read_recording(path)


def test_links_inside_one_file_are_followed(tmp_path):
    path = small_assembly(tmp_path / "r.nc")
    with h5py.File(path, "a") as file:
        file["again"] = file["data"]
        file["soft"] = h5py.SoftLink("/data")
    with closed_hdf5(path) as file:
        assert file["soft"].shape == (4, 4)


def test_a_raster_folder_keeps_to_itself(tmp_path, raster_file):
    (tmp_path / "in").mkdir()
    raster_file(tmp_path / "elsewhere.mat", np.ones((4, 500)), {"stimulus_id": list("abab")})
    (tmp_path / "in" / "n1.mat").symlink_to(tmp_path / "elsewhere.mat")
    with pytest.raises(InputError, match=r"n1\.mat is a link to a place outside that folder"):
        read_recording(tmp_path / "in")


def test_hidden_files_and_folders_are_passed_over(tmp_path):
    for name in ("a.png", "._a.png", ".hidden/b.png", "__MACOSX/c.png", "sub/d.PNG", "e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert visible_files(tmp_path, suffixes=(".png",), deep=True) == ["a.png", "sub/d.PNG"]
    assert visible_files(tmp_path) == ["a.png", "e.txt"]


def test_what_a_file_claims_is_bounded_by_size_and_by_ratio(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(bytes(1000))
    refuse_claim(100e6, path, "x")
    with pytest.raises(InputError, match="damaged or malicious"):
        refuse_claim(200e6, path, "x")
    refuse_claim(3e9, path, "x", on_disk=10_000_000)
    with pytest.raises(InputError, match="at most 4 GB"):
        refuse_claim(5e9, path, "x", on_disk=10_000_000_000)


def test_a_failed_write_leaves_nothing(tmp_path):
    def fail():
        with whole_file(tmp_path / "a.csv") as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="is a folder"), whole_file(tmp_path):
        pass


@pytest.fixture
def shown(faces, tmp_path):
    write_stimuli(faces, tmp_path / "set")
    return tmp_path / "set"


def zipped(folder, damage=None):
    path = folder / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted((folder / "images").iterdir()):
            archive.write(file, file.name)
            file.unlink()
    (folder / "images").rmdir()
    content = bytearray(path.read_bytes())
    if damage is not None:
        damage(content)
    path.write_bytes(content)
    return folder


def flip_a_bit(content):
    content[content.index(b"IDAT") + 8] ^= 1


def encrypt(content):
    place = 0
    while (place := content.find(b"PK\x01\x02", place)) >= 0:
        content[place + 8] |= 1
        place += 4


def method_of_nobody(content):
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = 0
        while (place := content.find(mark, place)) >= 0:
            content[place + offset] = 77
            place += 4


def claim_gigabytes(content):
    place = 0
    while (place := content.find(b"PK\x01\x02", place)) >= 0:
        content[place + 24 : place + 28] = np.array([2**31], "<u4").tobytes()
        place += 4


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip_a_bit, "is damaged .*CRC"),
        (encrypt, "is encrypted; unpack the zip"),
        (method_of_nobody, "is damaged .*compression"),
        (claim_gigabytes, "claims 2,147 MB"),
        (lambda content: content.__delitem__(slice(-40, None)), "neither a folder nor a readable zip"),
    ],
    ids=["flipped bit", "encrypted", "unknown method", "claims gigabytes", "cut off"],
)
def test_a_damaged_zip_of_images_is_one_message(shown, damage, message):
    zipped(shown, damage)
    with pytest.raises(InputError, match=message):
        read_stimuli(shown).checksum()


def test_images_that_lie_elsewhere_are_refused_until_named(shown, tmp_path):
    (shown / "images").rename(tmp_path / "elsewhere")
    (shown / "images").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"is a link to a place outside the folder of stimulus_set\.csv"):
        read_stimuli(shown)
    assert len(read_stimuli(shown, images=tmp_path / "elsewhere")) == 30


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x" * 3000 + ".png", "is too long for the name of a file"),
        ("a\\b.png", "lies outside"),
        ("loop.png", "a link that leads back to itself"),
        ("pipe.png", "is not an ordinary file but a FIFO"),
    ],
)
def test_names_of_images_that_lead_nowhere_are_one_message(shown, name, message):
    (shown / "images" / "loop.png").symlink_to(shown / "images" / "loop.png")
    os.mkfifo(shown / "images" / "pipe.png")
    table = pd.read_csv(shown / "stimulus_set.csv")
    table.loc[0, "filename"] = name
    table.to_csv(shown / "stimulus_set.csv", index=False)
    with pytest.raises(InputError, match=message):
        read_stimuli(shown, images=shown / "images")


def test_any_id_becomes_a_file_inside_the_folder(faces, tmp_path):
    ids = ["face/1", "../../x", "..", ".hidden", "a", "A", "José", "x" * 400, "a:b?", "con", " b ", "a.", "/etc/x"]
    names = file_names(ids, ".png")
    assert len({name.casefold() for name in names}) == len(ids)
    assert all("/" not in name and not name.startswith(".") and len(name.encode()) < 200 for name in names)
    assert names[6] == "José.png"
    stimuli = type(faces)(
        faces.table.iloc[: len(ids)].set_axis(ids).rename_axis("stimulus_id"), pixels=faces.pixels[: len(ids)]
    )
    again = read_stimuli(write_stimuli(stimuli, tmp_path / "deep" / "set"))
    assert again.ids == [i.strip() for i in ids]
    np.testing.assert_array_equal(again.images(), stimuli.images())
    assert sorted(p.name for p in tmp_path.rglob("*.png")) == sorted(names)


def test_checked_file_gives_the_path_of_an_ordinary_file(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    assert checked_file(tmp_path / "a") == tmp_path / "a"
