"""DetectorConfig: settings of the search for faces."""

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from fer_deploy.detectors.region import Region, check_region, region_from_text
from fer_deploy.errors import argument
from fer_deploy.settings import Settings

MIN_SCORE: Final = 0.5
"""Default score above which YuNet's faces are used."""
DetectorName = Literal["auto", "haar", "yunet"]


def _region(value: object) -> object:
    """Accept the command line's text and YAML's list."""
    if isinstance(value, str):
        return region_from_text(value)
    return (
        tuple(map(float, value)) if isinstance(value, list) and all(type(v) in (int, float) for v in value) else value
    )


class DetectorConfig(Settings):
    """Settings of the detector; YAML keys and flags have these names."""

    detector: DetectorName = Field(
        default="auto",
        description="yunet: also turned and small faces; haar: frontal ones, needs no file; auto: yunet where its file "
        "is available: named or in the cache",
    )
    detector_model: Path | None = Field(
        default=None,
        strict=False,
        description="YuNet's .onnx, a .plan of it, or triton://HOST:8001/MODEL; none: $FER_YUNET, else downloaded on "
        "first use",
    )
    min_score: float | None = Field(
        default=None, gt=0, lt=1, description="least score of YuNet's faces; none: 0.5. Haar gives no score"
    )
    min_face: int | None = Field(
        default=None,
        ge=8,
        description="smallest face in pixels of the frame; smaller faces are left out. A larger value is faster: the "
        "frame is shrunk as far as such a face allows. none: all faces found at a resolution for 24 pixels, "
        "in large frames for a twentieth of the shorter side",
    )
    roi: Annotated[Region, BeforeValidator(_region), AfterValidator(check_region)] | None = Field(
        default=None,
        description="region to search: x1,y1,x2,y2 in pixels of the source's first frame, even if its size changes "
        "later, or in fractions of the frame if all are up to 1",
    )
    max_faces: int | None = Field(default=None, ge=1, description="most faces a frame, the largest; none: all")

    @model_validator(mode="after")
    def _haar_takes_no_network(self) -> Self:
        given = [name for name in ("detector_model", "min_score") if getattr(self, name) is not None]
        if self.detector == "haar" and given:
            are = "are" if given[1:] else "is"
            names = " and ".join(map(argument, given))
            fix = argument("detector", "yunet")
            raise ValueError(f"{names} {are} about YuNet, and the detector is haar. Fix: {fix}, or leave them out")
        return self
