"""Pictures as services take them."""

from __future__ import annotations

import base64

import cv2
import numpy as np


def jpeg(image: np.ndarray, size: tuple[int, int] | None = None, longest: int = 1920) -> bytes:
    """Encode a picture (H, W, 3) RGB, no side longer than ``longest``; to ``size``, width and height, it is cut."""
    height, width = image.shape[:2]
    scale = max(size[0] / width, size[1] / height) if size else min(1.0, longest / max(height, width))
    if scale != 1.0:
        new = max(1, round(width * scale)), max(1, round(height * scale))
        image = cv2.resize(image, new, interpolation=cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC)
    if size:
        left, top = (image.shape[1] - size[0]) // 2, (image.shape[0] - size[1]) // 2
        image = image[top : top + size[1], left : left + size[0]]
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()


def base64_jpeg(image: np.ndarray) -> str:
    """A picture as base64 of a JPEG file."""
    return base64.b64encode(jpeg(image)).decode()


def data_url(image: np.ndarray) -> str:
    """A picture as a data URL (RFC 2397)."""
    return f"data:image/jpeg;base64,{base64_jpeg(image)}"
