import numpy as np
import pytest

from neural_data.errors import InputError
from neurocompare.stimuli.faces import FACE_MEASURES, HAIR_MEASURES, NECK_MEASURES
from neurocompare.stimuli.luminance import foreground_statistics, image_symmetry
from neurocompare.stimuli.sets import (
    FOREGROUND_MEAN,
    FOREGROUND_SD,
    Appearance,
    face_views,
    object_views,
    plan_set,
    training_set,
)

BARE_OR_NOT = ({}, {"hair": False, "neck": False})
BARE, LIT_FROM_THE_SIDE = Appearance(hair=False), Appearance(light_deg=60)


@pytest.fixture(scope="module")
def objects():
    return object_views(2, size=48)


@pytest.fixture(scope="module")
def twins():
    return [training_set(kind, 60, size=32, n_exemplars=2, seed=4) for kind in ("symmetric", "chiral")]


def test_the_object_set_is_that_of_the_paper():
    table = plan_set("objects", size=224, seed=0).table()
    assert len(table) == 2025
    assert table.groupby("category")["identity"].nunique().tolist() == [25] * 9
    assert sorted(table["azimuth_deg"].unique()) == [-90, -67.5, -45, -22.5, 0, 22.5, 45, 67.5, 90]
    assert table.index.is_unique
    assert "shift_x" not in table


def test_faces_come_sorted_by_identity_and_azimuth():
    stimuli = face_views(2, azimuths_deg=(45, -90, 0), size=32)
    assert stimuli.ids == [f"face{i:02d}_az{a}" for i in (1, 2) for a in (-90, 0, 45)]
    described = ["filename", "category", "identity", "azimuth_deg", "elevation_deg"]
    assert stimuli.table.columns.tolist() == [*described, *(f"measure_{name}" for name in FACE_MEASURES)]
    assert stimuli.yaw_views().ids == stimuli.ids
    assert stimuli.images().shape == (6, 3, 32, 32)


def test_faces_without_hair_and_neck_show_neither_and_their_measures_say_so():
    whole, bare = (face_views(1, azimuths_deg=[0], size=64, luminance="none", **shown) for shown in BARE_OR_NOT)
    hidden = set(whole.table) - set(bare.table)
    assert hidden == {f"measure_{name}" for name in (*HAIR_MEASURES, *NECK_MEASURES)}
    shown = [np.abs(stimuli.pixels[0].astype(float) - 128) > 4 for stimuli in (whole, bare)]
    widths = [rows[np.flatnonzero(rows.any(axis=1))[-1] - 1].sum() for rows in shown]
    assert widths[0] > 10  # cut off below, the neck is broad; a chin ends round
    forehead = [
        stimuli.pixels[0][rows.argmax(axis=0)[32] + 3, 32] for stimuli, rows in zip((whole, bare), shown, strict=True)
    ]
    assert int(forehead[1]) > int(forehead[0]) + 20  # skin is brighter than this hair


def test_light_from_the_side_makes_opposite_views_no_mirror_images():
    frontal, lateral = (face_views(1, azimuths_deg=[-45, 0, 45], size=48, light_deg=light) for light in (0, 60))
    assert (frontal.pixels[0] == frontal.pixels[2][:, ::-1]).all()
    assert image_symmetry(frontal.pixels[1] / 255)[0] > 0.999
    assert (lateral.pixels[0] != lateral.pixels[2][:, ::-1]).mean() > 0.2
    assert image_symmetry(lateral.pixels[1] / 255)[0] < 0.97
    right, left = lateral.pixels[1][:, 24:].mean(), lateral.pixels[1][:, :24].mean()
    assert right > left + 10


def test_the_left_profile_points_to_the_viewers_left():
    profile = face_views(1, azimuths_deg=[-90], size=96, luminance="none").pixels[0].astype(float)
    rows = np.abs(profile - 128)[45:70] > 4  # around the nose, the face's front edge is much nearer to the axis
    left, right = (np.flatnonzero(row)[[0, -1]] for row in (rows[0], rows[-1]))
    assert profile.shape == (96, 96)
    nose = min(np.flatnonzero(row)[0] for row in rows)
    occiput = max(np.flatnonzero(row)[-1] for row in (np.abs(profile - 128)[10:35] > 4))
    assert nose < 30 < 66 < occiput
    assert left[0] < right[-1]


def test_opposite_views_stay_mirror_images_after_matching(objects):
    views = objects.pixels.reshape(18, 9, 48, 48)
    assert (views != views[:, ::-1, :, ::-1]).sum() == 0


def test_image_symmetry_is_what_each_category_was_built_for(objects):
    table = objects.table.assign(symmetry=[image_symmetry(image)[0] for image in objects.pixels / 255])
    by = table.pivot_table(index="category", columns="azimuth_deg", values="symmetry")
    assert (by[0] > 0.999).all()
    single = by.loc[["face", "chair", "airplane", "animal"]]
    assert (single.drop(columns=0) < 0.85).all(axis=None)
    assert (by.loc[["car", "boat"], [-90, 90]] > 0.97).all(axis=None)
    assert (by.loc[["car", "boat"], [-45, 45]] < 0.85).all(axis=None)
    assert (by.loc[["fruit", "flower"]] > 0.99).all(axis=None)


def test_a_set_does_not_depend_on_workers_size_of_the_set_or_repetition(objects):
    some = object_views(1, size=48, categories=["boat", "tool"], n_jobs=2)
    assert some.ids == [i for i in objects.ids if i.startswith(("boat01", "tool01"))]
    assert np.array_equal(some.pixels, objects.select(identity=["boat01", "tool01"]).pixels)


def test_another_seed_gives_other_exemplars(objects):
    other = object_views(1, size=48, categories=["boat"], seed=1)
    assert not np.array_equal(other.pixels, objects.select(identity="boat01").pixels)


def test_foregrounds_are_matched(objects):
    bare = object_views(2, size=48, luminance="none").pixels
    shown = (objects.pixels != 128) | (bare != 128)
    found = foreground_statistics(objects.pixels, shown)
    # The rims, half background, count here: they pull a little.
    assert np.abs(found[:, 0] - FOREGROUND_MEAN).max() < 0.03
    assert np.abs(found[:, 1] - FOREGROUND_SD).max() < 0.07
    assert found[:, 0].std() < 0.3 * foreground_statistics(bare, shown)[:, 0].std()


def test_histograms_are_matched_on_request():
    stimuli = face_views(2, azimuths_deg=[-45, 0, 45], size=48, luminance="histogram")
    assert np.array_equal(stimuli.pixels[0], stimuli.pixels[2][:, ::-1])
    quantiles = [np.quantile(image[image != 128], [0.25, 0.5, 0.75]) for image in stimuli.pixels]
    assert np.ptp(quantiles, axis=0).max() < 20


def test_colour_images_have_three_channels():
    stimuli = face_views(1, azimuths_deg=[0], size=32, colour=True)
    assert stimuli.pixels.shape == (1, 32, 32, 3)
    assert np.ptp(stimuli.pixels.astype(int), axis=-1).max() > 20


def test_training_sets_are_balanced_and_differ_in_symmetry_only(twins):
    symmetric, chiral = twins
    assert symmetric.table["category"].value_counts().tolist() == [6] * 10
    views = ["azimuth_deg", "elevation_deg", "shift_x", "shift_y", "scale"]
    assert np.array_equal(symmetric.table[views].to_numpy(), chiral.table[views].to_numpy())
    assert symmetric.pixels.shape == (60, 32, 32)
    assert symmetric.table["azimuth_deg"].between(-90, 90).all()
    assert symmetric.table["elevation_deg"].abs().max() <= 25
    assert not np.array_equal(symmetric.pixels, chiral.pixels)


def test_training_views_fill_less_than_the_image(twins):
    for stimuli in twins:
        rim = stimuli.pixels[:, [0, -1]]
        assert (rim == 128).all()


def test_progress_counts_images():
    seen = []
    object_views(2, [0, 45], categories=["fruit"], size=16, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 4), (4, 4)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: face_views(0), "number of exemplars is 0; at least 1"),
        (lambda: face_views(size=2), "size is 2; at least 8"),
        (lambda: face_views(azimuths_deg=[]), "not azimuths"),
        (lambda: face_views(azimuths_deg=[np.nan]), "not azimuths"),
        (lambda: object_views(categories=["cra"]), "did you mean 'car'"),
        (lambda: training_set("chirl"), "did you mean 'chiral'"),
        (lambda: training_set(n=0), "n is 0"),
        (lambda: face_views(luminance="shine"), "no luminance matching 'shine'"),
        (lambda: face_views(luminance="histogram", colour=True), "only in gray"),
        (lambda: plan_set("face", size=32, seed=0), "did you mean 'faces'"),
        (
            lambda: plan_set("objects", seed=0, appearance=BARE),
            "hair and neck are settings of faces",
        ),
        (lambda: face_views(light_deg=100), "between -90 and 90 degrees"),
        (
            lambda: plan_set("faces", seed=0, categories=["car"]),
            r"categories are \['car'\], but the built-in faces have only",
        ),
        (
            lambda: plan_set("training", seed=0, appearance=LIT_FROM_THE_SIDE),
            "the built-in training images have fixed views, categories and light",
        ),
        (lambda: plan_set("training", seed=0, categories=["car"]), "leave azimuths_deg, categories and light_deg out"),
        (lambda: plan_set("training", seed=0, azimuths_deg=[0]), "leave azimuths_deg, categories and light_deg out"),
    ],
)
def test_impossible_requests_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
