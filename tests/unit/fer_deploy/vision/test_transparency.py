import numpy as np

from fer_deploy.vision.transparency import NEUTRAL, opaque_bgr


def test_what_nobody_sees_is_gray():
    picture = np.zeros((2, 3, 4), np.uint8)
    picture[..., :3] = (10, 200, 90)
    picture[0, :, 3] = (0, 255, 51)
    pixels = opaque_bgr(picture)
    assert pixels[0].tolist() == [[NEUTRAL] * 3, [10, 200, 90], [104, 142, 120]]
    assert (pixels[1] == NEUTRAL).all()


def test_opaque_pictures_keep_their_pixels():
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    picture[..., 3] = 255
    assert (opaque_bgr(picture) == picture[..., :3]).all()
