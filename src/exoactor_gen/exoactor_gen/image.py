"""Images in the formats of services."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from exoactor_core.files import encoded


def fitted(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale an image (H, W, 3) and crop it to ``size``, width and height."""
    height, width = image.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    image = _scaled(image, scale)
    left, top = (image.shape[1] - size[0]) // 2, (image.shape[0] - size[1]) // 2
    return np.ascontiguousarray(image[top : top + size[1], left : left + size[0]])


def _scaled(image: np.ndarray, scale: float) -> np.ndarray:
    if scale == 1.0:
        return image
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC)


_LONGEST_SIDE = 1920  # px


def jpeg(image: np.ndarray, size: tuple[int, int] | None = None) -> bytes:
    """Encode an image (H, W, 3) RGB, sides up to `_LONGEST_SIDE`; cropped to ``size``, width and height, if given."""
    image = fitted(image, size) if size else _scaled(image, min(1.0, _LONGEST_SIDE / max(image.shape[:2])))
    return encoded(image, ".jpg", quality=92)


def base64_jpeg(image: np.ndarray) -> str:
    """Encode an image as base64 of a JPEG file."""
    return base64.b64encode(jpeg(image)).decode()


def data_url(image: np.ndarray) -> str:
    """Encode an image as a data URL (RFC 2397)."""
    return f"data:image/jpeg;base64,{base64_jpeg(image)}"
