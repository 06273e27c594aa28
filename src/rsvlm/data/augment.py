"""Augmentations of training pictures: pure functions of pixels, numbers and a random generator, and a declared order.

Every function takes and gives uint8 (H, W, 3) RGB; what it draws, it draws from the `rng` it is given, so a picture is
a function of its seed. Colours are computed by Pillow, in 0-255. The forms are those of SimCLR and MoCo v2 (torchvision
and albumentations give the same distributions, not the same draws).
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageEnhance, ImageFilter
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from rsvlm.data.resize import resize_square
from rsvlm.errors import BadInput

Pixels = NDArray[np.uint8]
Resample = Literal["nearest", "bilinear", "bicubic"]
Window = tuple[int, int, int, int]  # x, y, width, height in pixels
Range = tuple[float, float]

_TRIES = 10  # windows drawn before the largest one is taken, as in torchvision and albumentations


def draw_window(
    extent: tuple[int, int], rng: np.random.Generator, scale: Range = (0.08, 1.0), ratio: Range = (3 / 4, 4 / 3)
) -> Window:
    """A random window of a picture of `extent` (width, height).

    Its area is `scale` of the picture's (uniform), its width / height within `ratio` (log-uniform). Where ten draws do
    not fit, the largest window in the middle whose shape is within `ratio`.
    """
    width, height = extent
    for _ in range(_TRIES):
        area = width * height * rng.uniform(*scale)
        shape = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1)), w, h
    shape = min(max(width / height, ratio[0]), ratio[1])
    w, h = min(width, max(round(height * shape), 1)), min(height, max(round(width / shape), 1))
    return (width - w) // 2, (height - h) // 2, w, h


def resized_window(pixels: Pixels, window: Window, size: int, resample: Resample = "bilinear") -> Pixels:
    """A window of a picture, resized to (size, size, 3)."""
    x, y, width, height = window
    cut = PILImage.fromarray(np.ascontiguousarray(pixels[y : y + height, x : x + width]))
    return np.array(cut.resize((size, size), PILImage.Resampling[resample.upper()]))


def random_resized_crop(
    pixels: Pixels, rng: np.random.Generator, size: int, *,
    scale: Range = (0.08, 1.0), ratio: Range = (3 / 4, 4 / 3), resample: Resample = "bilinear",
) -> Pixels:  # fmt: skip
    """A random window (`draw_window`), resized to (size, size, 3)."""
    height, width = pixels.shape[:2]
    return resized_window(pixels, draw_window((width, height), rng, scale, ratio), size, resample)


def random_flip(pixels: Pixels, rng: np.random.Generator, horizontal: float = 0.5, vertical: float = 0.0) -> Pixels:
    """Mirrored left to right with probability `horizontal`, and top to bottom with probability `vertical`."""
    across, down = rng.random(2) < (horizontal, vertical)
    return np.ascontiguousarray(pixels[:: -1 if down else 1, :: -1 if across else 1])


def quarter_turn(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Turned by 0, 90, 180 or 270 degrees, each as likely: nothing is resampled, a picture that is no square swaps."""
    return np.ascontiguousarray(np.rot90(pixels, int(rng.integers(4))))


def rotate(
    pixels: Pixels, rng: np.random.Generator, degrees: float, fill: tuple[int, int, int] = (0, 0, 0),
    resample: Resample = "bilinear",
) -> Pixels:  # fmt: skip
    """Turned about the middle by an angle within +-`degrees` (uniform); what comes from outside has the colour `fill`.

    The size stays, so that the corners of the picture are lost.
    """
    angle = rng.uniform(-degrees, degrees)
    turned = PILImage.fromarray(pixels).rotate(angle, PILImage.Resampling[resample.upper()], fillcolor=fill)
    return np.array(turned)


def color_jitter(
    pixels: Pixels, rng: np.random.Generator, *,
    brightness: float = 0.0, contrast: float = 0.0, saturation: float = 0.0, hue: float = 0.0,
) -> Pixels:  # fmt: skip
    """Brightness, contrast and saturation times 1 +- the number given (0 at the least), hue moved by +-`hue` of a turn.

    In a random order, as in torchvision.
    """
    picture = PILImage.fromarray(pixels)
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    strengths = (brightness, contrast, saturation)
    factors = [rng.uniform(max(0.0, 1 - strength), 1 + strength) for strength in strengths]
    turn = rng.uniform(-hue, hue)
    for step in rng.permutation(4):
        if step == 3 and hue:
            picture = _hue_moved(picture, turn)
        elif step < 3 and strengths[step]:
            picture = enhancers[step](picture).enhance(factors[step])
    return np.array(picture)


def _hue_moved(picture: PILImage.Image, turn: float) -> PILImage.Image:
    """Pillow's hue has 256 steps of a turn."""
    hsv = np.array(picture.convert("HSV"))
    hsv[..., 0] = ((hsv[..., 0].astype(np.int64) + round(turn * 256)) % 256).astype(np.uint8)
    return PILImage.fromarray(hsv, "HSV").convert("RGB")


def gaussian_blur(pixels: Pixels, rng: np.random.Generator, sigma: Range = (0.1, 2.0)) -> Pixels:
    """Blurred by a Gaussian whose standard deviation is drawn from `sigma`, in pixels."""
    return np.array(PILImage.fromarray(pixels).filter(ImageFilter.GaussianBlur(rng.uniform(*sigma))))


def gaussian_noise(pixels: Pixels, rng: np.random.Generator, std: Range = (3.2, 7.1)) -> Pixels:
    """Noise added to every value: normal, of a standard deviation drawn from `std` (of 0-255), and clipped.

    The default is albumentations' variance of 10-50.
    """
    noise = rng.standard_normal(pixels.shape, np.float32) * np.float32(rng.uniform(*std))
    return (pixels + noise).round().clip(0, 255).astype(np.uint8)


def solarize(pixels: Pixels, threshold: int = 128) -> Pixels:
    """Values from `threshold` on are inverted (255 - value)."""
    return np.where(pixels >= threshold, 255 - pixels, pixels)


def to_gray(pixels: Pixels) -> Pixels:
    """Three equal channels of luma (ITU-R 601)."""
    return np.array(PILImage.fromarray(pixels).convert("L").convert("RGB"))


_Probability = Annotated[float, Field(ge=0, le=1)]


class Augmentation(BaseModel):
    """Which augmentations a picture gets, with which probability, in this order: all are off by default.

    Crop or resize to the square, flips, quarter turn, rotation, colours, blur, noise, solarisation, grey. What is off
    costs nothing and changes nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    crop_scale: Range | None = Field(
        default=None, description="share of the area that a random window has; none = the whole"
    )
    crop_ratio: Range = Field(default=(3 / 4, 4 / 3), description="width / height of a random window")
    resample: Resample = Field(default="bilinear", description="filter of a random window and of a rotation")
    horizontal_flip: _Probability = 0.0
    vertical_flip: _Probability = 0.0
    quarter_turn: _Probability = Field(
        default=0.0, description="of a turn by 0, 90, 180 or 270 degrees, each as likely"
    )
    rotate: _Probability = 0.0
    degrees: float = Field(default=180.0, ge=0, le=180, description="largest angle of a rotation, either way")
    fill: tuple[int, int, int] = Field(default=(0, 0, 0), description="colour, 0-255, of what a rotation brings in")
    jitter: _Probability = 0.0
    brightness: float = Field(default=0.4, ge=0)
    contrast: float = Field(default=0.4, ge=0)
    saturation: float = Field(default=0.2, ge=0)
    hue: float = Field(default=0.1, ge=0, le=0.5)
    blur: _Probability = 0.0
    blur_sigma: Range = Field(default=(0.1, 2.0), description="standard deviation in pixels of the square")
    noise: _Probability = 0.0
    noise_std: Range = Field(default=(3.2, 7.1), description="standard deviation, of 0-255")
    solarize: _Probability = 0.0
    solarize_threshold: int = Field(default=128, ge=0, le=256)
    gray: _Probability = 0.0

    @field_validator("crop_scale", "crop_ratio", "blur_sigma", "noise_std")
    @classmethod
    def _ordered(cls, value: Range | None) -> Range | None:
        if value is not None and not 0 < value[0] <= value[1] < math.inf:
            raise ValueError("a range has a lower and an upper number, above 0")
        return value

    @field_validator("crop_scale")
    @classmethod
    def _within(cls, value: Range | None) -> Range | None:
        if value is not None and value[1] > 1:
            raise ValueError("a window has at most 1, the whole picture")
        return value

    @field_validator("fill")
    @classmethod
    def _colour(cls, value: tuple[int, int, int]) -> tuple[int, int, int]:
        if not all(0 <= part <= 255 for part in value):
            raise ValueError("a colour has numbers from 0 to 255")
        return value

    def square(self, pixels: Pixels, rng: np.random.Generator, size: int, fit: str = "squash") -> Pixels:
        """The picture as a square, (size, size, 3): a random window where `crop_scale` is given, else by `fit`."""
        if self.crop_scale is None:
            return resize_square(pixels, size, fit)
        return random_resized_crop(
            pixels, rng, size, scale=self.crop_scale, ratio=self.crop_ratio, resample=self.resample
        )

    def turned(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """Flips, quarter turns and rotation, each with its probability."""
        if self.horizontal_flip or self.vertical_flip:
            pixels = random_flip(pixels, rng, self.horizontal_flip, self.vertical_flip)
        if rng.random() < self.quarter_turn:
            pixels = quarter_turn(pixels, rng)
        if rng.random() < self.rotate:
            pixels = rotate(pixels, rng, self.degrees, self.fill, self.resample)
        return pixels

    def coloured(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """Colours, blur, noise, solarisation and grey, each with its probability: no pixel moves its place."""
        if rng.random() < self.jitter:
            numbers = {name: getattr(self, name) for name in ("brightness", "contrast", "saturation", "hue")}
            pixels = color_jitter(pixels, rng, **numbers)
        if rng.random() < self.blur:
            pixels = gaussian_blur(pixels, rng, self.blur_sigma)
        if rng.random() < self.noise:
            pixels = gaussian_noise(pixels, rng, self.noise_std)
        if rng.random() < self.solarize:
            pixels = solarize(pixels, self.solarize_threshold)
        return to_gray(pixels) if rng.random() < self.gray else pixels

    def __call__(self, pixels: Pixels, rng: np.random.Generator, size: int, fit: str = "squash") -> Pixels:
        """(H, W, 3) uint8 -> (size, size, 3) uint8: `square`, `turned`, `coloured`."""
        return self.coloured(self.turned(self.square(pixels, rng, size, fit), rng), rng)


def read_augmentation(numbers: Mapping[str, Any]) -> Augmentation:
    """An `Augmentation` from the numbers of a recipe. Raises BadInput naming the first that is off."""
    try:
        return Augmentation.model_validate(dict(numbers))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"augmentation: {where}: {first['msg']} (found {str(first['input'])[:80]}).") from error
