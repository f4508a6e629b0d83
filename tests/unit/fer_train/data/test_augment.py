from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from unit.fer_train.synthetic_faces import NO_AUGMENT, make_faces

from fer_train.config import AugmentConfig
from fer_train.data.augment import apply_draw, augment, normalize
from fer_train.data.augment import draw as draw_chances
from fer_train.normalization import PIXEL_MEAN, PIXEL_STD

STRONG = AugmentConfig(
    rotation_degrees=180.0,
    translation=0.9,
    scale=0.9,
    flip_probability=0.5,
    brightness=0.9,
    contrast=0.9,
    erase_probability=1.0,
    fade_probability=0.5,
    blur_probability=0.5,
    downscale_probability=0.5,
    noise_probability=0.5,
)


@pytest.fixture(scope="module")
def images():
    return torch.from_numpy(make_faces(Training=12).images)


def draw(images, config, size=48, seed=0):
    return augment(images, config, size, torch.Generator().manual_seed(seed))


def only(**changes):
    return AugmentConfig(**(NO_AUGMENT | changes))


def test_normalize_is_mean_and_std(images):
    faces = normalize(images)
    assert faces.shape == (12, 1, 48, 48)
    assert faces.dtype == torch.float32
    torch.testing.assert_close(faces[:, 0] * PIXEL_STD + PIXEL_MEAN, images.float(), rtol=0, atol=1e-4)
    torch.testing.assert_close(normalize(images.float()), faces)
    assert normalize(images, mean=0, std=1).max() == images.max()


def test_zero_ranges_equal_normalize(images):
    torch.testing.assert_close(draw(images, only()), normalize(images), rtol=0, atol=1e-4)


def test_flip_probability_one_mirrors(images):
    torch.testing.assert_close(draw(images, only(flip_probability=1.0)), normalize(images).flip(3), rtol=0, atol=1e-4)


def test_half_turn_is_between_the_limits(images):
    turned = draw(images, only(rotation_degrees=180.0))
    assert not torch.allclose(turned, normalize(images), atol=0.1)
    assert (turned == 0).any()  # corners from outside hold the mean


def test_same_seed_same_faces_other_seed_others(images):
    assert torch.equal(draw(images, AugmentConfig(), seed=1), draw(images, AugmentConfig(), seed=1))
    assert not torch.equal(draw(images, AugmentConfig(), seed=1), draw(images, AugmentConfig(), seed=2))


def test_global_random_state_plays_no_part(images):
    torch.manual_seed(1)
    first = draw(images, AugmentConfig())
    torch.manual_seed(2)
    assert torch.equal(first, draw(images, AugmentConfig()))


def test_each_face_gets_its_own_draw(images):
    drawn = draw(images[:1].expand(6, -1, -1), AugmentConfig())
    assert len({face.numpy().tobytes() for face in drawn}) == 6


@pytest.mark.parametrize("size", [16, 32, 40, 48])
def test_the_result_has_the_size_asked_for(images, size):
    assert draw(images, AugmentConfig(), size).shape == (12, 1, size, size)


def test_resizing_keeps_the_mean_brightness():
    ramp = torch.linspace(0, 255, 48).to(torch.uint8).expand(2, 48, 48)
    assert draw(ramp, only(), 24).mean() == pytest.approx(float(normalize(ramp).mean()), abs=0.02)


def test_the_strongest_setting_stays_finite_and_within_the_pixel_range(images):
    faces = draw(images, STRONG)
    assert faces.isfinite().all()
    pixels = faces * PIXEL_STD + PIXEL_MEAN
    assert pixels.min() >= -1e-3
    assert pixels.max() <= 255.001


def test_brightness_scales_each_face():
    gray = torch.full((50, 48, 48), 100, dtype=torch.uint8)
    levels = draw(gray, only(brightness=0.3)).mean(dim=(1, 2, 3)) * PIXEL_STD + PIXEL_MEAN
    assert 70 <= levels.min() < 80
    assert 120 < levels.max() <= 130


def test_contrast_keeps_the_mean_and_changes_the_spread():
    face = torch.zeros(50, 48, 48, dtype=torch.uint8) + 80
    face[:, :24] = 120
    pixels = draw(face, only(contrast=0.3)) * PIXEL_STD + PIXEL_MEAN
    torch.testing.assert_close(pixels.mean(dim=(1, 2, 3)), torch.full((50,), 100.0), rtol=0, atol=0.01)
    spread = pixels.amax(dim=(1, 2, 3)) - pixels.amin(dim=(1, 2, 3))
    assert 28 <= spread.min() < 33
    assert 47 < spread.max() <= 52


def test_translation_moves_by_at_most_its_share():
    dot = torch.zeros(100, 48, 48, dtype=torch.uint8)
    dot[:, 24, 24] = 255
    pixels = (draw(dot, only(translation=0.25)) * PIXEL_STD + PIXEL_MEAN).squeeze(1)
    # what came from outside holds the mean, so look for the brightest pixel above it
    at = (pixels - PIXEL_MEAN).clamp(min=0).flatten(1)
    rows, columns = at.argmax(1) // 48, at.argmax(1) % 48
    moved = torch.stack([rows, columns])[:, at.amax(1) > 0] - 24
    assert 9 <= moved.abs().max() <= 13


def test_erase_sets_one_box_of_2_to_25_percent_to_the_mean():
    white = torch.full((200, 48, 48), 255, dtype=torch.uint8)
    erased = draw(white, only(erase_probability=1.0)).squeeze(1) == 0.0
    share = erased.float().mean(dim=(1, 2))
    assert share.max() < 0.28
    assert share.max() > 0.15
    assert (share > 0).float().mean() > 0.95
    for face in erased[share > 0]:
        rows, columns = face.any(1).nonzero().flatten(), face.any(0).nonzero().flatten()
        assert face[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


def test_erase_takes_its_share_of_the_faces():
    white = torch.full((400, 48, 48), 255, dtype=torch.uint8)
    hit = (draw(white, only(erase_probability=0.25)) == 0.0).flatten(1).any(1).float().mean()
    assert 0.15 < hit < 0.35


def pixels_of(faces):
    return (faces * PIXEL_STD + PIXEL_MEAN).squeeze(1)


def softened(images, **chances):
    """Blur and scale, without chance; the pixels (N, 48, 48)."""
    n = len(images)
    plain = draw_chances(n, only(), torch.Generator())
    return pixels_of(apply_draw(images, replace(plain, **chances), 48))


@pytest.mark.parametrize("sigma", [0.5, 1.2, 2.0])
def test_blur_is_a_gaussian_of_its_sigma(sigma):
    dot = torch.zeros(1, 48, 48, dtype=torch.uint8)
    dot[:, 24, 24] = 255
    found = softened(dot, blur=torch.full((1,), sigma))[0]
    assert float(found.sum()) == pytest.approx(255, rel=1e-3)
    reference = cv2.GaussianBlur(dot[0].numpy().astype(np.float32), (15, 15), sigma)
    np.testing.assert_allclose(found.numpy(), reference, atol=0.02)


def test_blur_takes_a_share_of_the_faces_each_with_its_own_sigma(images):
    chances = draw_chances(400, only(blur_probability=0.25), torch.Generator().manual_seed(0)).blur
    assert float((chances > 0).float().mean()) == pytest.approx(0.25, abs=0.07)
    assert 1.8 < chances.max() <= 2.0
    assert len(set(chances[chances > 0].tolist())) > 80
    before, after = normalize(images).var(dim=(1, 2, 3)), draw(images, only(blur_probability=1.0)).var(dim=(1, 2, 3))
    assert (after < before).all()
    torch.testing.assert_close(draw(images, only(blur_probability=0.0)), normalize(images), rtol=0, atol=1e-4)


@pytest.mark.parametrize("small", [12, 19, 24, 36])
def test_downscaling_is_that_of_a_small_crop_scaled_up(small):
    face = torch.from_numpy(make_faces(Training=1).images).float()
    shrunk = F.interpolate(face.unsqueeze(1), (small, small), mode="bilinear", antialias=True, align_corners=False)
    expected = F.interpolate(shrunk, (48, 48), mode="bilinear", align_corners=False).squeeze(1)
    found = softened(face, small_side=torch.tensor([small]))
    torch.testing.assert_close(found, expected, rtol=0, atol=0.01)


def test_downscaling_takes_a_share_of_the_faces_to_12_to_36_pixels():
    sides = draw_chances(2000, only(downscale_probability=0.3), torch.Generator().manual_seed(0)).small_side
    assert float((sides < 48).float().mean()) == pytest.approx(0.3, abs=0.05)
    assert set(sides.tolist()) == {*range(12, 37), 48}


def test_a_face_of_another_size_is_softened_in_the_same_share():
    chances = draw_chances(
        500, only(downscale_probability=1.0, blur_probability=1.0), torch.Generator().manual_seed(0), side=24
    )
    assert set(chances.small_side.tolist()) == set(range(6, 19))
    assert 0.9 < chances.blur.max() <= 1.0


def test_a_face_is_blurred_before_it_is_scaled(images):
    sigma, small = torch.full((12,), 1.2), torch.full((12,), 20)
    both = softened(images, blur=sigma, small_side=small)
    torch.testing.assert_close(both, softened(softened(images, blur=sigma), small_side=small), rtol=0, atol=0.01)


def test_noise_takes_a_share_of_the_faces_with_a_deviation_of_up_to_six_levels():
    gray = torch.full((400, 48, 48), 128, dtype=torch.uint8)
    found = pixels_of(draw(gray, only(noise_probability=0.5)))
    deviations = found.std(dim=(1, 2))
    hit = deviations[deviations > 1e-3]
    assert len(hit) / 400 == pytest.approx(0.5, abs=0.1)
    assert 5.5 < hit.max() < 6.3
    assert hit.min() < 1
    torch.testing.assert_close(found.mean(dim=(1, 2)), torch.full((400,), 128.0), rtol=0, atol=1.0)
    assert abs(float(torch.corrcoef(found[deviations > 1][:2].flatten(1))[0, 1])) < 0.1


def test_fading_takes_no_contrast_from_noise_which_comes_later():
    flat = torch.full((100, 48, 48), 90, dtype=torch.uint8)
    chances = draw_chances(100, only(noise_probability=1.0), torch.Generator().manual_seed(0))
    faded = replace(chances, contrast=torch.full((100,), 0.2))
    torch.testing.assert_close(apply_draw(flat, faded, 48), apply_draw(flat, chances, 48), rtol=0, atol=1e-4)


def test_a_faded_and_soft_face_reaches_the_look_of_dim_video():
    """Deviation of 20 to 25 gray levels after a blur of 1.2, from faces whose deviation is 65, as FER2013's is."""
    rows = torch.arange(48).view(1, 48, 1) / 48 * 2 * torch.pi
    face = (128 + 92 * torch.sin(rows).expand(200, 48, 48)).to(torch.uint8)
    chances = draw_chances(200, only(fade_probability=1.0), torch.Generator().manual_seed(0))
    deviations = pixels_of(apply_draw(face, replace(chances, blur=torch.full((200,), 1.2)), 48)).std(dim=(1, 2))
    assert face.float().std() == pytest.approx(65, abs=1)
    assert deviations.min() < 20
    assert ((deviations > 20) & (deviations < 25)).float().mean() > 0.05


def test_new_parts_that_are_off_leave_the_chances_of_the_others_alone():
    with_all = AugmentConfig(blur_probability=0.5, downscale_probability=0.5, noise_probability=0.5)
    on = draw_chances(20, with_all, torch.Generator().manual_seed(4))
    off = draw_chances(20, AugmentConfig(), torch.Generator().manual_seed(4))
    for name in ("brightness", "contrast", "theta", "erased", "box"):
        assert torch.equal(getattr(on, name), getattr(off, name))
    assert off.blur is off.small_side is off.noise is None


def test_mirrored_says_which_faces_are_mirrored_in_place_of_chance(images):
    mirrored = torch.arange(12) % 3 == 0
    chances = draw_chances(12, only(flip_probability=0.5), torch.Generator().manual_seed(0), mirrored=mirrored)
    expected = torch.where(mirrored.view(-1, 1, 1, 1), normalize(images).flip(3), normalize(images))
    torch.testing.assert_close(apply_draw(images, chances, 48), expected, rtol=0, atol=1e-4)


def test_blur_leaves_a_plain_face_as_it_is():
    gray = torch.full((3, 48, 48), 100, dtype=torch.uint8)
    soft = only(blur_probability=1.0, downscale_probability=1.0)
    torch.testing.assert_close(draw(gray, soft), normalize(gray), rtol=0, atol=1e-4)


def test_faded_faces_keep_their_mean_and_lose_up_to_80_percent_of_the_contrast():
    face = torch.zeros(200, 48, 48, dtype=torch.uint8) + 80
    face[:, :24] = 120
    pixels = draw(face, only(fade_probability=0.5)) * PIXEL_STD + PIXEL_MEAN
    torch.testing.assert_close(pixels.mean(dim=(1, 2, 3)), torch.full((200,), 100.0), rtol=0, atol=0.01)
    spread = pixels.amax(dim=(1, 2, 3)) - pixels.amin(dim=(1, 2, 3))
    assert 8 - 1e-3 <= spread.min() < 10
    assert float((spread < 39.9).float().mean()) == pytest.approx(0.5, abs=0.12)
    assert spread.max() <= 40 + 1e-3


def test_a_share_of_the_batch_gets_what_the_whole_batch_would_give_it(images):
    chances = draw_chances(12, STRONG, torch.Generator().manual_seed(3))
    whole = apply_draw(images, chances, 24)
    half = apply_draw(images[4:8], chances.rows(slice(4, 8)), 24)
    torch.testing.assert_close(half, whole[4:8], rtol=0, atol=1e-5)
